"""Models that take the parameters of their requests."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from tritonforge import Batching, RequestParameters, Sequence, String, model

Row = Float32[np.ndarray, "batch 2"]
Text = String[np.ndarray, "1"]


class Scaled(NamedTuple):
    output_0: Row
    rows: Int64[np.ndarray, "batch"]


@model
def told(x: Row, options: RequestParameters) -> String[np.ndarray, "batch"]:
    return np.array([json.dumps(options)] * len(x), object)


@model(batching=Batching(max_batch_size=16, max_queue_delay_us=200_000))
def scale(x: Row, options: RequestParameters) -> Scaled:
    return Scaled(x * np.float32(options.get("by", 1)), np.full(len(x), len(x)))


@model(examples={"x": np.ones((1, 2), np.float32), "options": {"by": np.int64(3), "priority": 1}})
async def ascale(x: Row, options: RequestParameters) -> Row:
    return x * np.float32(options.get("by", 1))


@model
def tokens(prompt: Text, options: RequestParameters) -> Iterator[Text]:
    for number in range(int(options.get("max_tokens", 1))):
        yield np.array([f"{prompt[0]}{number}"], object)


@model
async def atokens(prompt: Text, options: RequestParameters) -> AsyncIterator[Text]:
    for number in range(int(options.get("max_tokens", 1))):
        yield np.array([f"{prompt[0]}{number}"], object)


@model(sequence=Sequence())
class Total:
    def start(self) -> list[float]:
        return [0.0]

    def __call__(self, state: list[float], x: Row, options: RequestParameters) -> Row:
        state[0] += float(options.get("by", 1))
        return x * np.float32(state[0])


@model(sequence=Sequence())
class Last:
    """Gives rows times what the request before said, of whichever sequence that was."""

    def __init__(self) -> None:
        self.said = 0.0

    def start(self) -> None:
        return None

    def __call__(self, state: None, x: Row, options: RequestParameters) -> Row:
        before, self.said = self.said, float(options.get("by", 1))
        return x * np.float32(before)
