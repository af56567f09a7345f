import numpy as np
from jaxtyping import Float32

from tritonforge import InstanceGroup, model


@model(instances=[InstanceGroup(kind="cpu")])
def scale(features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    return features * 2
