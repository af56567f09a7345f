"""Models of every form: functions, classes, weights, streams, text; from one module."""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from helpers import on_gpu
from jaxtyping import BFloat16, Bool, Float32, Int64
from numerics.scaling import FACTOR

from tritonforge import Batching, Bytes, Instances, String, asset, model, onnx

LIMITS = np.loadtxt(asset("data/limits.csv"), delimiter=",", dtype=np.float32)


@model(batching=Batching(max_batch_size=32, max_queue_delay_us=200, preferred_batch_sizes=(8, 32)))
def clip(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
    """Use an asset that is read at import."""
    return np.clip(x, LIMITS[0], LIMITS[1])


@model(name="weighted-sum", instances=Instances(cpu=2))
class WeightedSum:
    """Use an asset that is read when the model is loaded; give one value a row."""

    def __init__(self) -> None:
        self.weights = np.loadtxt(asset("data/weights.csv"), delimiter=",", dtype=np.float32)

    def __call__(
        self, x: Float32[np.ndarray, "batch 3"], bias: Float32[np.ndarray, "batch"] | None = None
    ) -> Float32[np.ndarray, "batch"]:
        total = x @ self.weights
        return total if bias is None else total + bias


class Words(NamedTuple):
    """Several outputs, of a variable dimension."""

    upper: String[np.ndarray, "batch words"]
    long: Bool[np.ndarray, "batch words"]


@model
def shout(text: String[np.ndarray, "batch words"]) -> Words:
    """Take and give text."""
    upper = np.array([[word.upper() for word in row] for row in text], dtype=object).reshape(text.shape)
    return Words(upper, np.vectorize(len, otypes=[int])(text) > 3)


@model
def sizes(raw: Bytes[np.ndarray, "n"]) -> Int64[np.ndarray, "n"]:
    """Take raw bytes, without a batch."""
    return np.array([len(item) for item in raw], dtype=np.int64)


@model
def count(start: Int64[np.ndarray, "1"]) -> Iterator[Int64[np.ndarray, "1"]]:
    """Answer one request three times."""
    yield from (start + step for step in range(3))


@model
def halve(x: BFloat16[np.ndarray, "batch 2"]) -> BFloat16[np.ndarray, "batch 2"]:
    """Take and give a type that NumPy has not."""
    return (x.astype(np.float32) * FACTOR).astype(x.dtype)


@on_gpu(count=0)
def decorated(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
    """Be made a model by a decorator of the user's own."""
    return x * FACTOR


def power(x: Float32[np.ndarray, "batch 3"], exponent: int) -> Float32[np.ndarray, "batch 3"]:
    """Be no model by itself."""
    return x**exponent


square = model(functools.partial(power, exponent=2))
classifier = onnx("data/classifier.onnx", batching=Batching(max_batch_size=16))
