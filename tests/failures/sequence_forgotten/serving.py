import numpy as np
from jaxtyping import Float32

from tritonforge import model


@model
class Total:
    def start(self) -> dict:
        return {}

    def __call__(self, state: dict, x: Float32[np.ndarray, "1"], y: int) -> Float32[np.ndarray, "1"]:
        return x
