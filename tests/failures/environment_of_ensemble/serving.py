import numpy as np
from jaxtyping import Float32

from tritonforge import model, pipeline


@model
def scale(x: Float32[np.ndarray, "batch 4"]) -> Float32[np.ndarray, "batch 4"]:
    return x * 2


@pipeline(environment="requirements.txt")
def scaled(x: Float32[np.ndarray, "batch 4"]) -> Float32[np.ndarray, "batch 4"]:
    return scale(x)
