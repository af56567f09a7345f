import numpy as np
from jaxtyping import Float32

from tritonforge import model, pipeline


@model
def add(left: Float32[np.ndarray, "batch 20"], right: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    return left + right


@pipeline
def fraud(
    features: Float32[np.ndarray, "batch 20"], bonus: Float32[np.ndarray, "batch 20"] | None = None
) -> Float32[np.ndarray, "batch 20"]:
    return add(features, bonus)
