from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32, Int64

from tritonforge import model, pipeline


@model
def count(start: Int64[np.ndarray, "1"]) -> Iterator[Int64[np.ndarray, "1"]]:
    yield from (start + step for step in range(3))


@pipeline
def counted(start: Int64[np.ndarray, "1"]) -> Int64[np.ndarray, "1"]:
    return count(start)
