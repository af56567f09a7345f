"""What a bls body catches of its steps in eager calls is what it catches where Triton serves them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from jaxtyping import Float32

from tritonforge import TritonError, model, pipeline
from tritonforge.errors import InvalidTensor

Rows = Float32[np.ndarray, "batch n"]
X = np.ones((1, 2), np.float32)


class TooMany(TritonError):
    """A refusal of the user's own class."""


@model
def failing(x: Rows) -> Rows:
    raise ValueError("negative bid")


@model
async def failing_later(x: Rows) -> Rows:
    await asyncio.sleep(0)
    raise ValueError("negative bid")


@model
def ending(x: Rows) -> Rows:
    sys.exit("no options")


@model
def refusing(x: Rows) -> Rows:
    raise TooMany("too many", "UNAVAILABLE")


@model
def wrong(x: Rows) -> Rows:
    return np.zeros(3)  # type: ignore[return-value]


@model
def calling(x: Rows) -> Rows:
    return failing(x)


@pipeline
def chained(x: Rows) -> Rows:
    return failing(x)


@pipeline(lowering="bls")
def branching(x: Rows) -> Rows:
    return failing(x) if x.sum() > 0 else x


def caught(step: Callable[..., Any]) -> BaseException:
    found: list[BaseException] = []

    @pipeline(lowering="bls")
    def body(x: Rows) -> Rows:
        try:
            return step(x)  # type: ignore[no-any-return]
        except Exception as error:
            found.append(error)
            return x

    assert body(X) is X
    return found[0]


@pytest.mark.parametrize("step", [failing, calling, chained, branching])
def test_any_error_of_a_step_is_a_triton_error(step: Callable[..., Any]) -> None:
    error = caught(step)
    assert type(error) is TritonError
    assert (error.message, error.code) == ("ValueError: negative bid", "INTERNAL")
    cause = error.__cause__
    assert isinstance(cause, TritonError if step is branching else ValueError)


def test_so_is_that_of_an_async_step() -> None:
    @pipeline(lowering="bls")
    async def body(x: Rows) -> Rows:
        return await failing_later(x)

    with pytest.raises(TritonError) as caught:
        asyncio.run(body(X))
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_refusal_keeps_its_text_and_code_and_nothing_of_its_class() -> None:
    error = caught(refusing)
    assert type(error) is TritonError
    assert (error.message, error.code) == ("too many", "UNAVAILABLE")


def test_a_wrong_result_is_the_steps_failure_and_a_wrong_argument_the_bodys() -> None:
    error = caught(wrong)
    assert type(error) is TritonError
    assert error.message.startswith('wrong: result "output" is FP64[3]')
    assert isinstance(caught(lambda x: failing(x[0])), InvalidTensor)


def test_elsewhere_errors_stay_what_they_are() -> None:
    with pytest.raises(ValueError, match=r"^negative bid$"):
        calling(X)
    with pytest.raises(ValueError, match=r"^negative bid$"):
        chained(X)
    with pytest.raises(TooMany):
        refusing(X)


def test_a_step_that_ends_the_process_fails_alone() -> None:
    found = caught(ending)
    assert isinstance(found, TritonError)
    assert (found.message, found.code) == ("SystemExit: no options", "INTERNAL")
    assert isinstance(found.__cause__, SystemExit)
