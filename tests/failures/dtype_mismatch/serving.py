import numpy as np
from jaxtyping import Float32, Float64, Int64

from tritonforge import model, pipeline


@model
def scale(features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    return features * 2


@model
def classify(features: Float64[np.ndarray, "batch 20"]) -> Int64[np.ndarray, "batch"]:
    return np.argmax(features, axis=1)


@pipeline
def fraud(features: Float32[np.ndarray, "batch 20"]) -> Int64[np.ndarray, "batch"]:
    return classify(scale(features))
