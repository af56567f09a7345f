from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32

from tritonforge import RequestParameters, model

Row = Float32[np.ndarray, "batch 20"]


@model(response_cache=True)
def cached(features: Row, options: RequestParameters) -> Row:
    return features * np.float32(options.get("by", 1))


@model
def first(options: RequestParameters, features: Row) -> Row:
    return features * np.float32(options.get("by", 1))


@model
def twice(features: Row, options: RequestParameters, more: RequestParameters) -> Row:
    return features * np.float32(options.get("by", more.get("by", 1)))


@model
def untold(features: Row, options: Mapping[str, float]) -> Row:
    return features * np.float32(options.get("by", 1))
