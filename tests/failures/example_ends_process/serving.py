import sys

import numpy as np
from jaxtyping import Float32
from tritonforge import model

Rows = Float32[np.ndarray, "batch 4"]
EXAMPLE = {"x": np.zeros((1, 4), np.float32)}


@model(examples=EXAMPLE)
def scale(x: Rows) -> Rows:
    sys.exit(0)


@model(examples=EXAMPLE)
async def wait(x: Rows) -> Rows:
    sys.exit(3)


@model(examples=EXAMPLE)
class Load:
    def __init__(self) -> None:
        sys.exit("no weights")

    def __call__(self, x: Rows) -> Rows:
        return x
