import numpy as np
from jaxtyping import Float32

from tritonforge import Optimization, model, pipeline


@model
def scale(features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    return features * 2


@pipeline(optimization=Optimization(eager_batching=True))
def scaled(features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    return scale(features)
