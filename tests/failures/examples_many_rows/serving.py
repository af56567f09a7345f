import numpy as np
from jaxtyping import Float32

from tritonforge import Batching, model

Rows = Float32[np.ndarray, "batch 2"]
X = np.zeros((9, 2), np.float32)


@model(batching=Batching(max_batch_size=8), examples=[{"x": X[:8]}, {"x": X}])
def scale(x: Rows) -> Rows:
    return x


@model(examples={"x": 5})
def shift(x: Rows) -> Rows:
    return x
