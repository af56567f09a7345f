import numpy as np
from jaxtyping import Float32

from tritonforge import model


@model(warmup={"features": np.zeros((2, 3), np.float32)})
def scale(features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    return features * 2
