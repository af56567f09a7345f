import numpy as np
from jaxtyping import Float32, Int64

from tritonforge import model, pipeline


@model
def join(ids: Int64[np.ndarray, "batch seq"], mask: Int64[np.ndarray, "batch seq"]) -> Int64[np.ndarray, "batch seq"]:
    return ids * mask


@pipeline
def text(ids: Int64[np.ndarray, "batch seq"], mask: Int64[np.ndarray, "batch length"]) -> Int64[np.ndarray, "batch seq"]:
    return join(ids, mask)
