"""`async` models and pipelines of them, and models that are warmed up, for the tests that serve them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
from jaxtyping import Float32, Int64

from tritonforge import Batching, Warmup, WarmupInput, model, pipeline

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
