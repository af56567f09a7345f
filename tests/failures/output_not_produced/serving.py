from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from tritonforge import model, pipeline


class Scores(NamedTuple):
    scaled: Float32[np.ndarray, "batch 20"]
    raw: Float32[np.ndarray, "batch 20"]


@model
def scale(features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    return features * 2


@pipeline
def fraud(features: Float32[np.ndarray, "batch 20"]) -> Scores:
    return Scores(scale(features), None)
