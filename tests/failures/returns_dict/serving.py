import numpy as np
from jaxtyping import Float32

from tritonforge import model


@model
def scale(features: Float32[np.ndarray, "batch 20"]) -> dict[str, Float32[np.ndarray, "batch 1"]]:
    return {"label": features[:, :1], "score": features[:, 1:2]}


@model
def shift(features: Float32[np.ndarray, "batch 20"]) -> dict:
    return {"label": features[:, :1]}
