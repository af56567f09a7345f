"""Models that take the parameters of their requests."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from tritonforge import Batching, RequestParameters, Sequence, String, TritonError, model, pipeline

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


@model
def add(x: Row, options: RequestParameters) -> Row:
    if options.get("fails"):
        raise TritonError("as asked", code="INVALID_ARG")
    return x + np.float32(options.get("add", 0))


@model
def weigh(options_weight: Row, options: RequestParameters) -> Scaled:
    rows = len(options_weight)
    return Scaled(options_weight * np.float32(options.get("by", 1)), np.full(rows, rows))


@pipeline(examples={"x": np.ones((1, 2), np.float32), "options": {"by": 3, "add": 0.5}})
def chained(x: Row, options: RequestParameters) -> Scaled:
    return weigh(add(x, options), options)


@pipeline
def chained_within(x: Row, told: RequestParameters | None = None) -> Row:
    return add(chained(x, told).output_0, options=told)


@pipeline(lowering="fused", batching=Batching(max_batch_size=16, max_queue_delay_us=200_000))
def fused(x: Row, options: RequestParameters) -> Scaled:
    return weigh(options=options, options_weight=add(x, options))


@pipeline(lowering="fused")
def fused_within(x: Row, options: RequestParameters) -> Row:
    return add(inner(inner(x), options))


@pipeline(lowering="fused")
def inner(x: Row, options: RequestParameters) -> Row:
    return add(x, options)


@pipeline(lowering="bls", batching=Batching(max_batch_size=16, max_queue_delay_us=200_000))
def called(x: Row, options: RequestParameters) -> Scaled:
    return weigh(add(x, options), options)


@pipeline(lowering="bls", batching=Batching(max_batch_size=16, max_queue_delay_us=200_000))
def decided(x: Row, options: RequestParameters) -> Scaled:
    x = add(x, {"add": float(options["add"]) * 2}) if "add" in options else x
    return weigh(add(x), {"by": np.int64(options.get("by", 1))})


@pipeline(lowering="bls")
async def awaited(x: Row, options: RequestParameters) -> Row:
    return await ascale(add(x, options), options)
