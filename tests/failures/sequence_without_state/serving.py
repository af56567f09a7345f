import numpy as np
from jaxtyping import Float32

from tritonforge import Sequence, model


@model(sequence=Sequence())
class Plain:
    def __call__(self, x: Float32[np.ndarray, "1"]) -> Float32[np.ndarray, "1"]:
        return x


@model(sequence=Sequence())
class Stateless:
    def start(self) -> dict:
        return {}

    def __call__(self, x: Float32[np.ndarray, "1"]) -> Float32[np.ndarray, "1"]:
        return x


@model(sequence=Sequence())
def total(state: dict, x: Float32[np.ndarray, "1"]) -> Float32[np.ndarray, "1"]:
    return x
