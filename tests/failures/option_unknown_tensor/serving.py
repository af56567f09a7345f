import numpy as np
from jaxtyping import Float32

from tritonforge import Tensor, model


@model(tensors={"feature": Tensor(format="nchw")})
def scale(features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    return features * 2
