"""`async` definitions: awaited here, traced in pipelines, and what of them is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from jaxtyping import Bool, Float32

from tritonforge import Sequence, model, pipeline
from tritonforge.errors import DiagnosticError, InvalidTensor
from tritonforge.ir import InputRef, StepRef

Rows = Float32[np.ndarray, "batch n"]
X = np.arange(6, dtype=np.float32).reshape(2, 3)


@model
async def double(x: Rows) -> Rows:
    await asyncio.sleep(0)
    return x * 2


@model
def add(left: Rows, right: Rows) -> Rows:
    return left + right


@model
async def apart(x: Rows) -> tuple[Rows, Rows]:
    return x, -x


@model
class Scale:
    """A class whose call is async."""

    def __init__(self) -> None:
        self.factor = np.float32(3)

    async def __call__(self, x: Rows) -> Rows:
        await asyncio.sleep(0)
        return x * self.factor


@model
async def count(x: Rows) -> AsyncIterator[Rows]:
    for step in range(3):
        await asyncio.sleep(0)
        yield x + np.float32(step)


@model(pad={"n": -1}, pad_to=[4])
async def padded(x: Rows, n_mask: Bool[np.ndarray, "batch n"]) -> Rows:
    assert x.shape == n_mask.shape == (2, 4)
    return np.where(n_mask, x, np.float32(-9))


@model
async def wrong(x: Rows) -> Rows:
    return x.astype(np.float64)  # type: ignore[return-value]  # what is tested


@pipeline
async def chained(x: Rows) -> Rows:
    one, other = await asyncio.gather(double(x), Scale(x))
    return add(one, other)


@pipeline
def forgets(x: Rows) -> Rows:
    return add(double(x), x)  # type: ignore[arg-type]  # what is tested


def test_functions_and_classes_are_awaited() -> None:
    async def both() -> tuple[Any, ...]:
        return await double(X), await Scale(x=X), await apart(X)

    doubled, scaled, pair = asyncio.run(both())

    np.testing.assert_array_equal(doubled, X * 2)
    np.testing.assert_array_equal(scaled, X * 3)
    assert isinstance(pair, tuple)
    np.testing.assert_array_equal(pair[1], -X)


def test_calls_run_at_once() -> None:
    reached = []

    @model
    async def meets(x: Rows) -> Rows:
        reached.append(1)
        while len(reached) < 2:
            await asyncio.sleep(0)
        return x

    async def both() -> None:
        await asyncio.wait_for(asyncio.gather(meets(X), meets(X)), 10)

    asyncio.run(both())


def test_an_async_generator_is_a_stream() -> None:
    async def collect() -> list[Any]:
        return [item async for item in count(X)]

    assert count.signature.decoupled
    assert [item[0, 0] for item in asyncio.run(collect())] == [0, 1, 2]


def test_it_is_padded_and_cut_back() -> None:
    async def call() -> Any:
        return await padded(X)

    np.testing.assert_array_equal(asyncio.run(call()), X)


def test_arguments_and_results_are_checked() -> None:
    with pytest.raises(InvalidTensor, match="is FP64"):
        double(X.astype(np.float64))  # at the call, before it is awaited

    async def call() -> Any:
        return await wrong(X)

    with pytest.raises(InvalidTensor, match='result "output" is FP64'):
        asyncio.run(call())


@pytest.mark.parametrize("inside", [False, True])
def test_a_pipeline_is_traced_also_where_a_loop_runs(inside: bool) -> None:
    async def trace() -> Any:
        return chained.trace()

    traced = asyncio.run(trace()) if inside else chained.trace()

    assert traced.diagnostics == ()
    assert [step.model for step in traced.graph.steps] == ["double", "Scale", "add"]
    assert traced.graph.steps[2].inputs == (("left", StepRef(0, "output")), ("right", StepRef(1, "output")))
    assert traced.graph.steps[0].inputs == (("x", InputRef("x")),)


def test_a_pipeline_is_awaited() -> None:
    async def call() -> Any:
        return await chained(X)

    np.testing.assert_array_equal(asyncio.run(call()), X * 5)


def test_a_call_that_is_not_awaited_is_told() -> None:
    (found, *_) = forgets.trace().diagnostics

    assert (found.code, found.message) == (
        "TF201",
        "is fed with a call of double, which is async, and isn't awaited",
    )


def test_a_sequence_model_is_not_async() -> None:
    @model(sequence=Sequence())
    class Total:
        def start(self) -> list[float]:
            return []

        async def __call__(self, seen: list[float], x: Rows) -> Rows:
            return x

    with pytest.raises(DiagnosticError, match="sequence is set on an async class"):
        _ = Total.signature
