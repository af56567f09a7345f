from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32

from tritonforge import model

Row = Float32[np.ndarray, "2"]


@model(examples={"x": np.zeros(2, np.float32)})
def spread(x: Row) -> Iterator[Row]:
    yield x
