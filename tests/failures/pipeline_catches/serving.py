import numpy as np
from jaxtyping import Float32

from tritonforge import TritonError, model, pipeline


@model
def scale(features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    return features * 2


@pipeline
def fraud(features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    try:
        return scale(features)
    except TritonError:
        return features
