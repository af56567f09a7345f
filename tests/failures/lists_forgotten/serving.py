import numpy as np
from jaxtyping import Float32

from tritonforge import Agent, InstanceGroup, MetricControl, model

Rows = Float32[np.ndarray, "batch 2"]


@model(instance_groups=InstanceGroup(kind="cpu"), agents=Agent(name="checksum"))
def scale(x: Rows) -> Rows:
    return x


@model(metrics=MetricControl(family="nv_inference_first_response_histogram_ms", buckets=(1.0,)), op_libraries="lib.so")
def shift(x: Rows) -> Rows:
    return x
