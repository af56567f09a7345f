import numpy as np
from jaxtyping import Float32

from tritonforge import model


@model
class Scale:
    def scale(self, features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
        return features * 2


@model
class Shift:
    def __init__(self, offset: float) -> None:
        self.offset = offset

    def __call__(self, features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
        return features + self.offset


@model
def repeat(features: Float32[np.ndarray, "20"]) -> Float32[np.ndarray, "20"]:
    yield features
