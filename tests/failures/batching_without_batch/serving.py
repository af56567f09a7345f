import numpy as np
from jaxtyping import Float32

from tritonforge import Batching, model


@model(batching=Batching(max_batch_size=8))
def scale(features: Float32[np.ndarray, "20"]) -> Float32[np.ndarray, "20"]:
    return features * 2
