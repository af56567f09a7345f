import numpy as np
from jaxtyping import Int32

from tritonforge import model


@model(warmup={"x": np.array([[7]], np.int32)})
def scale(x: Int32[np.ndarray, "batch"]) -> Int32[np.ndarray, "batch"]:
    return x * 2
