import numpy as np
from jaxtyping import Float32

from tritonforge import Bytes, Sequence, String, model


@model(sequence=Sequence(strategy="direct"))
class Worded:
    def start(self) -> int:
        return 0

    def __call__(self, state: int, word: String[np.ndarray, "batch"]) -> Float32[np.ndarray, "batch"]:
        return np.zeros(len(word), np.float32)


@model(sequence=Sequence(strategy="direct"))
class Answering:
    def start(self) -> int:
        return 0

    def __call__(self, state: int, word: Bytes[np.ndarray, "batch 1"]) -> String[np.ndarray, "batch"]:
        return word[:, 0]


@model(sequence=Sequence())
class Turning:
    def start(self) -> int:
        return 0

    def __call__(self, state: int, word: String[np.ndarray, "batch"]) -> Float32[np.ndarray, "batch"]:
        return np.zeros(len(word), np.float32)
