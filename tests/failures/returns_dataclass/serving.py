from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from tritonforge import model


@dataclass
class Answer:
    label: Float32[np.ndarray, "batch 1"]
    score: Float32[np.ndarray, "batch 1"]


@model
def scale(features: Float32[np.ndarray, "batch 20"]) -> Answer:
    return Answer(features[:, :1], features[:, 1:2])
