from functools import cache

import numpy as np
from jaxtyping import Float32

from tritonforge import model, pipeline

Rows = Float32[np.ndarray, "batch 6"]


@model
def scale(x: Rows) -> Rows:
    return x * 2


@model
def shift(x: Rows) -> Rows:
    return x + 1


@pipeline
def chain(x: Rows) -> Rows:
    return shift(x)


chain = pipeline(lowering="fused")(chain)


@model
def scale(x: Rows) -> Rows:  # noqa: F811
    return x * 3


@model
def half(x: Rows) -> Rows:
    return x / 2


@cache
def half() -> float:  # noqa: F811
    return 0.5
