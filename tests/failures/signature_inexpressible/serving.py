import numpy as np
from jaxtyping import Float32

from tritonforge import model


@model
def anything(*features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    return features[0]


@model
async def later(features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    yield features


@model
def nothing() -> Float32[np.ndarray, "batch 20"]:
    return np.zeros((1, 20), np.float32)
