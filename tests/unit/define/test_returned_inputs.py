"""Functions annotated as streams that return an input, once; and those of which that can't be told."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from jaxtyping import Float32

from tritonforge import model
from tritonforge.errors import DiagnosticError


def once(x: Float32[np.ndarray, "4"]) -> Iterator[Float32[np.ndarray, "4"]]:
    return x  # type: ignore[return-value]  # what this file tests


def either(x: Float32[np.ndarray, "4"], y: Float32[np.ndarray, "4"]) -> Iterator[Float32[np.ndarray, "4"]]:
    if x.sum() > 0:
        return y  # type: ignore[return-value]
    return x  # type: ignore[return-value]


class Once:
    def __call__(self, x: Float32[np.ndarray, "4"]) -> Iterator[Float32[np.ndarray, "4"]]:
        return x  # type: ignore[return-value]


@pytest.mark.parametrize(("target", "name"), [(once, "x"), (either, "y"), (Once, "x")])
def test_a_stream_that_returns_an_input_is_refused(target: Callable[..., Any], name: str) -> None:
    with pytest.raises(DiagnosticError) as raised:
        _ = model(target).signature
    (one,) = raised.value.diagnostics
    assert one.code == "TF110"
    assert one.message == f'it is annotated as a stream, but returns its input "{name}", which is no iterator'
    assert one.hint == "yield its results, or take Iterator[…] off the annotation"


def plain(x: Float32[np.ndarray, "4"]) -> Iterator[Float32[np.ndarray, "4"]]:
    yield x


def other(x: Float32[np.ndarray, "4"]) -> Iterator[Float32[np.ndarray, "4"]]:
    return plain(x)


def rebound(x: Float32[np.ndarray, "4"]) -> Iterator[Float32[np.ndarray, "4"]]:
    for x in [x]:  # noqa: B020
        x = iter([x])  # type: ignore[assignment]  # noqa: PLW2901
    return x  # type: ignore[return-value]


def sometimes(x: Float32[np.ndarray, "4"]) -> Iterator[Float32[np.ndarray, "4"]]:
    return plain(x) if x.sum() > 0 else x  # type: ignore[return-value]


def or_other(x: Float32[np.ndarray, "4"]) -> Iterator[Float32[np.ndarray, "4"]]:
    return plain(x) or x  # type: ignore[return-value]


def streamed(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(x: Any) -> Any:
        yield function(x)

    return wrapper


def raising(x: Float32[np.ndarray, "4"]) -> Iterator[Float32[np.ndarray, "4"]]:
    raise ValueError


@pytest.mark.parametrize("target", [other, rebound, sometimes, or_other, streamed(once), raising])
def test_what_may_be_a_stream_is_none_to_refuse(target: Callable[..., Any]) -> None:
    assert model(target).signature.decoupled
