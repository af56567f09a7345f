"""What a class is told of its instance in an eager call, and what keeps one from being made."""

from __future__ import annotations

import numpy as np
import pytest
from jaxtyping import Int64

from tritonforge import Instance, model
from tritonforge.errors import DiagnosticError


@model(name="told", parameters={"b": "2", "a": "1"})
class Told:
    def __init__(self, own: Instance) -> None:
        self.own = own

    def __call__(self, x: Int64[np.ndarray, "n"]) -> Int64[np.ndarray, "n"]:
        assert self.own == Instance("CPU", 0, "told_0", "told", 0, {"a": "1", "b": "2"})
        return x


@model
class Needs:
    def __init__(self, own: Instance, path: str) -> None: ...

    def __call__(self, x: Int64[np.ndarray, "n"]) -> Int64[np.ndarray, "n"]:
        return x


def test_an_eager_call_gives_a_copy_on_the_cpu() -> None:
    assert Told(x=np.arange(2)).tolist() == [0, 1]  # type: ignore[attr-defined,call-arg]


def test_more_than_the_instance_is_not_given() -> None:
    with pytest.raises(DiagnosticError, match="its __init__ needs path; Triton gives it no more than its Instance"):
        Needs(x=np.arange(2))  # type: ignore[call-arg]
