from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32

from tritonforge import model, pipeline

Row = Float32[np.ndarray, "20"]


@model(decoupled=True)
def scale(x: Row) -> Row:
    return x


@model(decoupled=False)
def spread(x: Row) -> Iterator[Row]:
    yield x


@model
def shift(x: Row) -> Row:
    return x


@pipeline(decoupled=True)
def chained(x: Row) -> Row:
    return shift(x)
