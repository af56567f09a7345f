import numpy as np
from jaxtyping import Float32

from tritonforge import pipeline


@pipeline
def first(features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    return second(features)


@pipeline
def second(features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    return first(features)
