import numpy as np
from jaxtyping import Float32

from tritonforge import model


class Service:
    @model
    def scale(self, features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
        return features * 2


@model
def shift(features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    return features + 1
