import numpy as np
from jaxtyping import Float32

from tritonforge import RequestParameters, model, pipeline

Row = Float32[np.ndarray, "batch 20"]


@model
def scale(features: Row, options: RequestParameters) -> Row:
    return features * np.float32(options.get("by", 1))


@pipeline
def left_out(features: Row, options: RequestParameters) -> Row:
    return scale(scale(features), options)


@pipeline(lowering="fused")
def read(features: Row, options: RequestParameters) -> Row:
    return scale(features, options) if options.get("scaled") else scale(features)


@pipeline
def made(features: Row) -> Row:
    return scale(features, {"by": 2})


@pipeline
def mistaken(features: Row, options: RequestParameters) -> Row:
    return scale(options, features)


@pipeline
def returned(features: Row, options: RequestParameters) -> Row:
    scale(features, options)
    return options


@pipeline(response_cache=True)
def cached(features: Row, options: RequestParameters) -> Row:
    return scale(features, options)
