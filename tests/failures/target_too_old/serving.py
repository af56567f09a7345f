import numpy as np
from jaxtyping import Float32

from tritonforge import MetricControl, model


@model(metrics=[MetricControl(family="nv_inference_first_response_histogram_ms", buckets=(1.0, 5.0))])
def scale(features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    return features * 2
