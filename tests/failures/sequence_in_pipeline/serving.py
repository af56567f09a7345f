import numpy as np
from jaxtyping import Float32

from tritonforge import Sequence, model, pipeline


@model(sequence=Sequence())
class Total:
    def start(self) -> None: ...

    def __call__(self, state: None, x: Float32[np.ndarray, "1"]) -> Float32[np.ndarray, "1"]:
        return x


@pipeline
def chained(x: Float32[np.ndarray, "1"]) -> Float32[np.ndarray, "1"]:
    return Total(x)
