import numpy as np
from jaxtyping import Float32

from tritonforge import model, pipeline

Rows = Float32[np.ndarray, "batch 2"]


@model
async def slow(x: Rows) -> Rows:
    return x


@pipeline
async def returned(x: Rows) -> Rows:
    return slow(x)


@pipeline
async def passed(x: Rows) -> Rows:
    return await slow(slow(x))
