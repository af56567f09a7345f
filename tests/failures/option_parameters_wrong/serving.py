import numpy as np
from jaxtyping import Float32

from tritonforge import model


@model(parameters={"k": 3})
def scale(features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    return features * 2
