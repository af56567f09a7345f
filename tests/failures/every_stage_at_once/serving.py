from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32

from tritonforge import model, pipeline

ROWS = np.zeros((2, 4), np.float32)


@model
def scale(features: Float32[np.ndarray, "batch 4"], factor) -> Float32[np.ndarray, "batch 4"]:
    return features * factor


@model(decoupled=False, warmup={"features": ROWS[:, :3]}, max_inflight_requests=2)
def shift(features: Float32[np.ndarray, "batch 4"]) -> Float32[np.ndarray, "batch 4"]:
    return features + 1


@model(examples=[{"features": ROWS[:, :3]}])
def halve(features: Float32[np.ndarray, "batch 4"]) -> Float32[np.ndarray, "batch 4"]:
    return features / 2


@pipeline(examples=[{"features": ROWS[:, :3]}])
def fraud(features: Float32[np.ndarray, "batch 4"]) -> Float32[np.ndarray, "batch 4"]:
    return halve(shift(features))


@model(response_cache=True)
def rows(features: Float32[np.ndarray, "4"]) -> Iterator[Float32[np.ndarray, "4"]]:
    yield features
