import numpy as np
from jaxtyping import Float32

from tritonforge import Warmup, WarmupInput, model

ZEROS = WarmupInput(data_type="FP32", dims=(20,), zero_data=True)


@model(warmup=Warmup(name="w", batch_size=128, inputs={"features": ZEROS}))
def scale(features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    return features * 2
