import numpy as np
from jaxtyping import Bool, Float32, Int64

from tritonforge import model


@model(pad={"seq": 0.5, "rows": 0}, pad_to={"seq": [64, 32]})
def mean(ids: Int64[np.ndarray, "batch seq"], seq_mask: Bool[np.ndarray, "batch"]) -> Float32[np.ndarray, "batch"]:
    return ids.mean(axis=1)


@model(pad={"seq": 0})
def whole(ids: Int64[np.ndarray, "seq"]) -> Int64[np.ndarray, "seq"]:
    return ids
