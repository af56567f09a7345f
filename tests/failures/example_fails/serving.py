import numpy as np
from jaxtyping import Float32

from tritonforge import Batching, model


@model(batching=Batching(max_batch_size=8), examples={"features": np.zeros((2, 19), np.float32)})
def scale(features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    return features * 2


@model(batching=Batching(max_batch_size=8), examples={"index": np.array([[3]])})
def lookup(index: Float32[np.ndarray, "batch 1"]) -> Float32[np.ndarray, "batch 1"]:
    return index
