import numpy as np
from jaxtyping import Float32

from tritonforge import model, onnx, pipeline

Rows = Float32[np.ndarray, "batch 2"]


@model(batch=3, instnces=4, max_batch_size=3, cpu=(2,))
def first(x: Rows) -> Rows:
    return x


@model(warmup=5, response_cache="yes", requirements=["???"])
def second(x: Rows) -> Rows:
    return x


@model(name="", parameters={"": "x"})
def third(x: Rows) -> Rows:
    return x


network = onnx("network.onnx", bacthing=8)


@pipeline
def chained(x: Rows) -> Rows:
    return first(y=x)
