import numpy as np
from jaxtyping import Float32

from tritonforge import model


@model
def clip(features: Float32[np.ndarray, "batch 20"], limit: Float32[np.ndarray, "1"]) -> Float32[np.ndarray, "batch 20"]:
    return np.minimum(features, limit)
