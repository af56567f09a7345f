import numpy as np
from jaxtyping import Float32

from tritonforge import asset, model


@model
class Normalize:
    def __init__(self) -> None:
        self.mean = np.load(asset("stats.npz"))["mean"]

    def __call__(self, features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
        return features - self.mean
