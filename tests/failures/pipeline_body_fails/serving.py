import numpy as np
from jaxtyping import Float32

from tritonforge import model, pipeline


@model
def scale(features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    return features * 2


@pipeline
def fraud(features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    scaled = scale(features)
    return clip(scaled)
