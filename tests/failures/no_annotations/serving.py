import numpy as np
from jaxtyping import Float32

from tritonforge import model


@model
def scale(features, factor: Float32[np.ndarray, "batch 1"]):
    return features * factor
