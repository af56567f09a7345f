"""Models that make a mistake where a request asks for it, by the number that it sends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from tritonforge import Batching, Sequence, String, TritonError, metrics, model, pipeline

LABELLED = metrics.counter("mistaken_total", "Calls.\nOf labelled.")
Pair = Float32[np.ndarray, "batch 2"]
Row = Float32[np.ndarray, "batch n"]


@model
def labelled(n: Int64[np.ndarray, "1"]) -> Float32[np.ndarray, "1"]:
    LABELLED.inc(status=n.item())
    if n < 0:
        LABELLED.inc(**{"bad-label": "v"})
    return n.astype(np.float32)


WRONG: dict[int, Any] = {
    1: lambda x: x.astype(np.float64),
    2: lambda x: x[:, :1],
    3: lambda x: x[:1],
    4: lambda x: x.tolist(),
}


@model
def mid(x: Pair) -> Pair:
    return WRONG.get(int(x[0, 0]), lambda x: x)(x)


@model
class Middle:
    def __call__(self, x: Pair) -> Pair:
        return WRONG.get(int(x[0, 0]), lambda x: x)(x)


@model
def last(x: Pair) -> Pair:
    if x[0, 0] == 13:
        raise TritonError("13 is refused", code="NOT_FOUND")
    return x + np.float32(1)


@model
def halves(x: Pair) -> Iterator[Pair]:
    yield x
    yield x.astype(np.float64) if x[0, 0] == 1 else x


@model
def nested(x: Pair) -> Pair:
    return last(mid(x))


@model
def nested_class(x: Pair) -> Pair:
    return last(Middle(x))


@model
def nested_stream(x: Pair) -> Pair:
    return sum(halves(x))


@model
def nested_argument(x: Pair) -> Pair:
    return mid(x.astype(np.float64)) if x[0, 0] == 5 else mid(x)


@pipeline
def ensemble_chain(x: Pair) -> Pair:
    return last(mid(x))


@pipeline(lowering="fused")
def fused_chain(x: Pair) -> Pair:
    return last(mid(x))


@pipeline(lowering="bls")
def bls_chain(x: Pair) -> Pair:
    return last(mid(x))


@model
def agreed(a: Row, b: Row) -> Row:
    total = a + b
    return np.concatenate([total, total], axis=1) if a[0, 0] == 7 else total


@model
def product(
    a: Float32[np.ndarray, "n m"], b: Float32[np.ndarray, "m k"] | None = None
) -> tuple[Float32[np.ndarray, "n k"], Float32[np.ndarray, "k k"]]:
    found = a @ a.T if b is None else a @ b
    return found, np.zeros((found.shape[1], found.shape[1] + int(a[0, 0] == 7)), np.float32)


@pipeline(lowering="fused")
def fused_agreed(a: Row, b: Float32[np.ndarray, "batch m"]) -> Float32[np.ndarray, "batch _"]:
    return agreed(a, spread(b))


@model
def spread(x: Row) -> Float32[np.ndarray, "batch o"]:
    return x[0] if x[0, 0] == 9 else x[:, :1] if x[0, 0] == 8 else x


@model(pad={"seq": 0}, pad_to=[4], batching=Batching(max_batch_size=8))
def short(x: Float32[np.ndarray, "batch seq"]) -> Float32[np.ndarray, "batch seq"]:
    return x


@pipeline
def ensemble_short(x: Float32[np.ndarray, "batch seq"]) -> Float32[np.ndarray, "batch seq"]:
    return short(x)


@pipeline(lowering="fused")
def fused_short(x: Float32[np.ndarray, "batch seq"]) -> Float32[np.ndarray, "batch seq"]:
    return short(x)


@pipeline(lowering="bls")
def bls_short(x: Float32[np.ndarray, "batch seq"]) -> Float32[np.ndarray, "batch seq"]:
    return short(x)


@model
def raw(x: Int64[np.ndarray, "batch 1"]) -> String[np.ndarray, "batch 1"]:
    return np.array([[b"\xff" if row == 1 else "whole"] for row in x], object)


@pipeline(lowering="fused")
def fused_raw(x: Int64[np.ndarray, "batch 1"]) -> String[np.ndarray, "batch 1"]:
    return raw(x)


@model
def few(x: Row) -> Iterator[Float32[np.ndarray, "batch k"]]:
    yield x[0, 0]


@model
def half(x: Int64[np.ndarray, "batch 1"]) -> String[np.ndarray, "batch 1"]:
    return np.where(x == 1, "\ud800", "whole").astype(object)


@model
def twice(x: Int64[np.ndarray, "batch 1"]) -> tuple[String[np.ndarray, "batch 1"], String[np.ndarray, "batch 1"]]:
    return np.full(x.shape, "whole", object), np.where(x == 1, "a\udc80", "b").astype(object)


@model
def nested_half(x: Int64[np.ndarray, "batch 1"]) -> String[np.ndarray, "batch 1"]:
    return half(x)


@model
def upper(text: String[np.ndarray, "batch 1"]) -> String[np.ndarray, "batch 1"]:
    return np.char.upper(text.astype(str)).astype(object)


@pipeline(lowering="fused")
def fused_half(x: Int64[np.ndarray, "batch 1"]) -> String[np.ndarray, "batch 1"]:
    return upper(half(x))


@model
async def stopping(x: Pair) -> Pair:
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0)
    return x


@model(sequence=Sequence())
class Steps:
    def start(self) -> list[int]:
        return []

    def __call__(self, state: list[int], x: Pair) -> Pair:
        return x
