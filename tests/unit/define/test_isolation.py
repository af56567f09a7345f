"""Pipelines that run here give their steps arrays of their own, as Triton does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from jaxtyping import Float32

from tritonforge import model, pipeline

Rows = Float32[np.ndarray, "batch 2"]
THREES = np.full((1, 2), 3, np.float32)
BUFFER = np.zeros((1, 2), np.float32)
CONSTANT = np.full((1, 2), 9, np.float32)


class Both(NamedTuple):
    a: Rows
    b: Rows


@model
def lower(x: Rows) -> Rows:
    x -= 1
    return x


@model
async def slowly_lower(x: Rows) -> Rows:
    await asyncio.sleep(0)
    x -= 1
    return x


@model
def add(x: Rows, y: Rows) -> Rows:
    x += y
    return x


@model
def same(x: Rows) -> Rows:
    return x


@model
def twins(x: Rows) -> Both:
    return Both(x, x)


@model
def constant(x: Rows) -> Rows:
    return CONSTANT


@model
def calling(x: Rows) -> Rows:
    lower(x)
    return x


@pipeline
def of_the_caller(x: Rows) -> Both:
    return Both(lower(x), same(x))


@pipeline
def of_a_step(x: Rows) -> Both:
    made = same(x)
    return Both(lower(made), made)


@pipeline
def of_one_step_twice(x: Rows) -> Both:
    return Both(add(x, x), lower(x))


@pipeline
def of_twins(x: Rows) -> Both:
    a, b = twins(x)
    return Both(lower(a), b)


@pipeline
def of_a_constant(x: Rows) -> Both:
    made = constant(x)
    return Both(lower(made), made)


@pipeline
def nested(x: Rows) -> Both:
    inner = of_the_caller(x)
    return Both(lower(inner.a), same(inner.a))


@model
def buffered(x: Rows) -> Rows:
    return np.add(x, 1, out=BUFFER)


@pipeline
def of_a_buffer(x: Rows) -> Both:
    a = buffered(x)
    return Both(a, buffered(a))


@pipeline
async def at_once(x: Rows) -> Both:
    a, b = await asyncio.gather(slowly_lower(x), slowly_lower(x))
    return Both(a, b)


@pipeline
def of_a_model_that_calls(x: Rows) -> Both:
    return Both(calling(x), same(x))


@pytest.mark.parametrize(
    ("chain", "a", "b"),
    [
        (of_the_caller, 2, 3),
        (of_a_step, 2, 3),
        (of_one_step_twice, 6, 2),
        (of_twins, 2, 3),
        (of_a_constant, 8, 9),
        (nested, 1, 2),
        (of_a_buffer, 4, 5),
        (of_a_model_that_calls, 2, 3),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_what_a_step_writes_is_seen_by_nobody_else(chain: Callable[..., Both], a: float, b: float) -> None:
    """The answers are those of an ensemble, and the caller's arrays, or a model's own, stay as they were."""
    x = THREES.copy()
    answer = chain(x)
    assert (answer.a[0, 0], answer.b[0, 0]) == (a, b)
    assert np.array_equal(x, THREES)
    assert (CONSTANT == 9).all()


def test_async_steps_that_run_at_once_have_arrays_of_their_own() -> None:
    """Each writes into its own."""
    x = THREES.copy()
    called: Any = at_once(x)
    answer = asyncio.run(called)
    assert (answer.a[0, 0], answer.b[0, 0]) == (2, 2)
    assert np.array_equal(x, THREES)


def test_a_function_that_is_called_by_itself_is_an_ordinary_one() -> None:
    """It gets the caller's array: nothing is copied behind anybody's back."""
    x = THREES.copy()
    assert lower(x) is x
    assert (x == 2).all()
