import numpy as np
from jaxtyping import Float32

from tritonforge import model, pipeline


@model
def double(x: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    return x * 2


@model
def add(
    left: Float32[np.ndarray, "batch 20"], right: Float32[np.ndarray, "batch 20"] | None = None
) -> Float32[np.ndarray, "batch 20"]:
    return left if right is None else left + right


@pipeline
def fraud(
    features: Float32[np.ndarray, "batch 20"], bonus: Float32[np.ndarray, "batch 20"] | None = None
) -> Float32[np.ndarray, "batch 20"]:
    if bonus is None:
        return double(features)
    return add(features, bonus)


@pipeline
def refusing(
    features: Float32[np.ndarray, "batch 20"], bonus: Float32[np.ndarray, "batch 20"] | None = None
) -> Float32[np.ndarray, "batch 20"]:
    if bonus is None:
        raise ValueError("no bonus")
    return add(features, bonus)
