import numpy as np
from jaxtyping import Float32

from tritonforge import model


@model(environment="requirements.txt")
def scale(x: Float32[np.ndarray, "batch 4"]) -> Float32[np.ndarray, "batch 4"]:
    return x * 2
