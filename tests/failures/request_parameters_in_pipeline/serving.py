import numpy as np
from jaxtyping import Float32

from tritonforge import RequestParameters, model, pipeline

Row = Float32[np.ndarray, "batch 20"]


@model
def scale(features: Row, options: RequestParameters) -> Row:
    return features * np.float32(options.get("by", 1))


@pipeline
def scaled(features: Row) -> Row:
    return scale(features)


@pipeline
def told(features: Row, options: RequestParameters) -> Row:
    return scale(features, options)
