import numpy as np
from jaxtyping import Float32

from tritonforge import model, pipeline

Rows = Float32[np.ndarray, "batch 2"]


@model
def quick(x: Rows) -> Rows:
    return x


@pipeline
async def chained(x: Rows) -> Rows:
    return await quick(x)
