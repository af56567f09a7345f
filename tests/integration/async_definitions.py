"""`async` models and pipelines of them, and models that are warmed up, for the tests that serve them."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from tritonforge import Batching, Instances, Warmup, WarmupInput, model, pipeline

Rows = Float32[np.ndarray, "batch n"]
ALONE = Batching(max_batch_size=8, dynamic=False)

_meeting: list[asyncio.Event] = []


@model(batching=ALONE)
async def meet(x: Rows) -> Rows:
    """Wait for a second call, which only one instance that runs both at once can get."""
    _meeting.append(asyncio.Event())
    if len(_meeting) % 2:
        await asyncio.wait_for(_meeting[-1].wait(), 20)
    else:
        _meeting[-2].set()
    return x * 2


@model
async def double(x: Rows) -> Rows:
    await asyncio.sleep(0.001)
    if (x < 0).any():
        raise ValueError("negative")
    return x * 2


@model
class Triple:
    def __init__(self) -> None:
        self.factor = np.float32(3)

    async def __call__(self, x: Rows) -> tuple[Rows, Rows]:
        await asyncio.sleep(0.001)
        return x * self.factor, -x


@model
def add(left: Rows, right: Rows) -> Rows:
    return left + right


@model
async def countdown(start: Int64[np.ndarray, "1"]) -> AsyncIterator[Int64[np.ndarray, "1"]]:
    for left in range(start.item(), 0, -1):
        await asyncio.sleep(0.001)
        yield np.array([left])


@model
async def prefixes(x: Float32[np.ndarray, "n"]) -> AsyncIterator[Float32[np.ndarray, "m"]]:
    for size in range(len(x), -1, -1):
        yield x[:size]


@model
def suffixes(x: Float32[np.ndarray, "n"]) -> Iterator[Float32[np.ndarray, "m"]]:
    for size in range(len(x) + 1):
        yield x[size:]


@pipeline
async def chained(x: Rows) -> Rows:
    doubled, (tripled, _) = await asyncio.gather(double(x), Triple(x))
    return add(doubled, tripled)


fused_chained = pipeline(lowering="fused")(chained)
bls_chained = pipeline(lowering="bls")(chained)


@pipeline(lowering="bls")
async def routed(x: Rows) -> Rows:
    """Branch on data between awaited calls."""
    doubled = await double(x)
    if doubled.sum() > 10:
        return doubled
    tripled, negative = await Triple(add(x, doubled))
    return tripled - negative


@model(instances=Instances(cpu=2), batching=ALONE)
def held(x: Rows) -> Rows:
    """Leave a mark where a large number says so, and wait until it is taken away."""
    if x[0, 0] > 100:
        mark = held_mark(int(x[0, 0]))
        mark.touch()
        deadline = time.monotonic() + 20
        while mark.exists():
            assert time.monotonic() < deadline, "nobody has taken the mark away"
            time.sleep(0.01)
    return x


def held_mark(number: int) -> Path:
    return Path(tempfile.gettempdir()) / f"tritonforge-held-{number}"


@pipeline(lowering="bls")
async def holding(x: Rows) -> Rows:
    """Look at what a model gives that isn't awaited."""
    found = held(x)
    return await double(found) if (found > 0).all() else found


CALLS: list[int] = []


@model(
    batching=ALONE,
    warmup=Warmup(
        name="zeros", batch_size=2, count=3, inputs={"x": WarmupInput(data_type="FP32", dims=(4,), zero_data=True)}
    ),
)
def warmed(x: Rows) -> Float32[np.ndarray, "batch calls"]:
    """Give the rows of all calls so far."""
    CALLS.append(len(x))
    return np.tile(np.array(CALLS, np.float32), (len(x), 1))
