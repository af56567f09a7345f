import numpy as np
from jaxtyping import Float32

from tritonforge import model


@model(pad={"seq": 0})
def scale(x: Float32[np.ndarray, "batch 2"]) -> Float32[np.ndarray, "batch 2"]:
    return x
