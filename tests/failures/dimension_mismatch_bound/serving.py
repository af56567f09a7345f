import numpy as np
from jaxtyping import Float32, Int64

from tritonforge import model, pipeline


@model
def widen(features: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    return features


@model
def classify(features: Float32[np.ndarray, "batch 30"]) -> Int64[np.ndarray, "batch"]:
    return np.argmax(features, axis=1)


@pipeline
def fraud(features: Float32[np.ndarray, "batch 20"]) -> Int64[np.ndarray, "batch"]:
    return classify(widen(features))
