"""Bodies that let errors of their calls out have one graph; those that go on after one have none."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from jaxtyping import Float32

from tritonforge import Sequence, TritonError, model, pipeline
from tritonforge.errors import DiagnosticError
from tritonforge.lower import gather

Rows = Float32[np.ndarray, "batch 3"]
X = np.ones((1, 3), np.float32)


class Odd(Exception):
    def __init__(self, row: int, reason: str) -> None:
        super().__init__(f"{row}: {reason}")


@model
def picky(x: Rows) -> Rows:
    return x


@model
async def picky_later(x: Rows) -> Rows:
    return x


@model
def fallback(x: Rows) -> Rows:
    return x


@model
def streamed(x: Rows) -> Iterator[Rows]:
    yield x


@model(sequence=Sequence())
class Kept:
    def start(self) -> None:
        return None

    def __call__(self, state: None, x: Rows) -> Rows:
        return x


def catches(x: Rows) -> Rows:
    try:
        return picky(x)
    except TritonError:
        return fallback(x)


def catches_another_call(x: Rows) -> Rows:
    x = picky(x)
    try:
        return picky(x)
    except Exception:
        return x


def suppresses(x: Rows) -> Rows:
    with contextlib.suppress(ValueError):
        return picky(x)
    return fallback(x)


def catches_a_kind_of_its_own(x: Rows) -> Rows:
    try:
        return picky(x)
    except Odd:
        return fallback(x)


def catches_some_codes(x: Rows) -> Rows:
    try:
        return picky(x)
    except TritonError as error:
        if error.code == "NOT_FOUND":
            return fallback(x)
        raise


def catches_some_texts(x: Rows) -> Rows:
    try:
        return picky(x)
    except TritonError as error:
        if "odd" in str(error):
            return fallback(x)
        raise


def computes_on_error(x: Rows) -> Rows:
    try:
        return picky(x)
    except TritonError:
        return x * 0


def attempt(call: Callable[[Rows], Rows], x: Rows) -> Rows:
    try:
        return call(x)
    except Exception:
        return fallback(x)


def catches_by_a_helper(x: Rows) -> Rows:
    return attempt(picky, x)


async def gathers_errors(x: Rows) -> Rows:
    found = await asyncio.gather(picky_later(x), picky_later(x), return_exceptions=True)
    return found[0]  # type: ignore[return-value]


def cleans_up(x: Rows) -> Rows:
    try:
        return picky(x)
    finally:
        picky(x)


def renames(x: Rows) -> Rows:
    try:
        return picky(x)
    except TritonError as error:
        raise TritonError(f"picky: {error.message}", error.code) from error  # type: ignore[arg-type]


async def gathers(x: Rows) -> Rows:
    found = await asyncio.gather(picky_later(x), picky_later(x))
    return found[1]


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (catches, 2),
        (catches_another_call, 3),
        (suppresses, 2),
        (catches_a_kind_of_its_own, 2),
        (catches_some_codes, 2),
        (catches_some_texts, 2),
        (computes_on_error, 2),
        (gathers_errors, 1),
    ],
)
def test_a_body_that_goes_on_is_sent_to_bls(body: Callable[..., Any], line: int) -> None:
    with pytest.raises(DiagnosticError) as raised:
        pipeline(body).trace()

    (found,) = raised.value.diagnostics
    assert found.code == "TF209"
    assert found.message.startswith("its body catches an error of picky")
    assert '@pipeline(lowering="bls")' in found.hint
    assert (found.where.file, found.where.line) == (__file__, body.__code__.co_firstlineno + line)


def test_errors_that_a_helper_catches_are_found() -> None:
    with pytest.raises(DiagnosticError, match="catches an error of picky and goes on"):
        pipeline(catches_by_a_helper).trace()


def test_in_bls_such_a_body_takes_each_request_by_itself() -> None:
    made = pipeline(lowering="bls")(catches)
    made._variable = "catches"
    gathered = gather([made])

    assert gathered.diagnostics == ()
    assert gathered.graph(made) is None
    assert dict(gathered.choices[id(made)].others)["fused"].startswith("its body catches an error of picky")


@pytest.mark.parametrize(("body", "calls"), [(cleans_up, 2), (renames, 1), (gathers, 2)])
def test_a_body_that_lets_an_error_out_is_traced(body: Callable[..., Any], calls: int) -> None:
    assert len(pipeline(body).trace().graph.steps) == calls


def hides_a_branch(x: Rows) -> Rows:
    try:
        return picky(x) if x.sum() > 0 else x
    except Exception:
        return fallback(x)


def test_a_body_cannot_catch_that_it_computes() -> None:
    with pytest.raises(DiagnosticError, match='asks a tensor for an attribute, "sum"'):
        pipeline(hides_a_branch).trace()


@pytest.mark.parametrize("lowering", ["ensemble", "bls"])
@pytest.mark.parametrize(("step", "reason"), [(streamed, "streamed gives a stream"), (Kept, "Kept keeps a state")])
def test_what_cannot_be_served_cannot_be_called_here(step: Any, reason: str, lowering: Any) -> None:
    def body(x: Rows) -> Rows:
        return step(x)  # type: ignore[no-any-return]

    with pytest.raises(DiagnosticError, match=f"{reason}.*; a pipeline chains models that"):
        pipeline(lowering=lowering)(body)(X)


def test_a_step_may_call_a_stream_itself() -> None:
    @model
    def last(x: Rows) -> Rows:
        return list(streamed(x))[-1]

    def body(x: Rows) -> Rows:
        return last(x)

    np.testing.assert_array_equal(pipeline(body)(X), X)
