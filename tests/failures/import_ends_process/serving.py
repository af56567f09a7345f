import os

import numpy as np
from jaxtyping import Float32

from tritonforge import model


@model
def scale(features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    return features * 2


os._exit(3)
