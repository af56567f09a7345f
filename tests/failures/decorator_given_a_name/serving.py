import numpy as np
from jaxtyping import Float32

from tritonforge import model


@model("scale")
def doubled(x: Float32[np.ndarray, "batch 2"]) -> Float32[np.ndarray, "batch 2"]:
    return x * 2
