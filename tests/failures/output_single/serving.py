from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from tritonforge import model, pipeline

Rows = Float32[np.ndarray, "batch 20"]


class Both(NamedTuple):
    left: Rows
    right: Rows


@model
def scale(features: Rows) -> Rows:
    return features * 2


@pipeline
def fraud(features: Rows) -> Both:
    return scale(features)  # type: ignore[return-value]
