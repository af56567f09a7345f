from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32

from tritonforge import Sequence, model


@model(sequence=Sequence())
def plain(x: Float32[np.ndarray, "1"]) -> Float32[np.ndarray, "1"]:
    return x


@model(sequence=Sequence())
class Startless:
    def __call__(self, state: list[float], x: Float32[np.ndarray, "1"]) -> Iterator[Float32[np.ndarray, "1"]]:
        yield x
