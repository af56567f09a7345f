from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from tritonforge import model, pipeline

Rows = Float32[np.ndarray, "batch 2"]


class Both(NamedTuple):
    low: Rows
    high: Rows


@model
async def slow(x: Rows) -> Both:
    return Both(x, x)


@pipeline
async def taken_apart(x: Rows) -> Both:
    low, high = slow(x)
    return Both(low, high)


@pipeline
async def returned(x: Rows) -> Both:
    return slow(x)
