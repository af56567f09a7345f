"""Bodies that hand optional inputs on have one graph; those that ask for them have none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from jaxtyping import Float32

from tritonforge import model, pipeline
from tritonforge.errors import DiagnosticError

Rows = Float32[np.ndarray, "batch 3"]
Maybe = Float32[np.ndarray, "batch 3"] | None


@model
def add(left: Rows, right: Maybe = None) -> Rows:
    return left if right is None else left + right


def handed_on(x: Rows, one: Maybe = None, other: Maybe = None) -> Rows:
    return add(add(x, one), other)


def asks_for_one(x: Rows, one: Maybe = None, other: Maybe = None) -> Rows:
    return add(x, other) if one is None else add(add(x, one), other)


def asks_for_all(x: Rows, one: Maybe = None, other: Maybe = None) -> Rows:
    return x if one is None and other is None else handed_on(x, one, other)


def swaps(x: Rows, one: Maybe = None, other: Maybe = None) -> Rows:
    return add(x, other if one is None else one)


def test_an_optional_input_that_is_handed_on_is_traced() -> None:
    assert len(pipeline(handed_on).trace().graph.steps) == 2


@pytest.mark.parametrize(
    ("body", "named"), [(asks_for_one, '"one" is'), (asks_for_all, '"one" and "other" are'), (swaps, '"one" is')]
)
def test_a_body_that_asks_for_one_is_sent_to_bls(body: Callable[..., Any], named: str) -> None:
    with pytest.raises(DiagnosticError) as raised:
        pipeline(body).trace()

    (found,) = raised.value.diagnostics
    assert found.code == "TF209"
    assert found.message.startswith(f"its body does something else where {named} left out")
    assert '@pipeline(lowering="bls")' in found.hint
    assert found.where.file == __file__
