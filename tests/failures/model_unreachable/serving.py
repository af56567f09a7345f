import numpy as np
from jaxtyping import Float32

from tritonforge import model, pipeline


def make(factor):
    @model
    def scale(features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
        return features * factor

    return scale


scales = [make(2)]


@pipeline
def fraud(features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    return scales[0](features)
