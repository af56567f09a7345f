"""A class that is a model: its own code finds its attributes under its name, which is that of the definition."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from jaxtyping import Float32

from tritonforge import model

Rows = Float32[np.ndarray, "batch 1"]
X = np.ones((1, 1), np.float32)


@model
class Own:
    count = 0
    table: dict[str, int]

    def __init__(self) -> None:
        Own.count += 1  # type: ignore[attr-defined]  # the definition has it of the class
        Own.table = {"one": 1}  # type: ignore[attr-defined]
        self.step = Own.load(2)  # type: ignore[attr-defined]

    @classmethod
    def load(cls, number: int) -> int:
        return number + cls.count

    def __call__(self, x: Rows) -> Rows:
        assert self.table == {"one": 1}
        return x + self.step


@model
def function(x: Rows) -> Rows:
    return x


def test_a_class_names_itself() -> None:
    assert Own(X).item() == 4
    attributes: Any = Own
    assert attributes.count == Own.target.count == 1  # type: ignore[attr-defined]
    assert (Own.name, Own.batching) == ("Own", None)


def test_a_definitions_own_attributes_are_its_own() -> None:
    copied: Any = copy.copy(Own)
    copied.batching = 3
    assert not hasattr(copied.target, "batching")
    assert (copied.batching, Own.batching) == (3, None)


@pytest.mark.parametrize("definition", [Own, function])
def test_what_is_not_there_is_told(definition: Any) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'missing'"):
        _ = definition.missing
    with pytest.raises(AttributeError):
        _ = definition.__array__


def test_a_function_keeps_what_is_set_on_it() -> None:
    kept: Any = function
    kept.calls = 1
    assert kept.calls == 1


def test_a_model_is_no_base_class() -> None:
    said = r"^Own is a model, and no class: leave Own plain, subclass that, .*: OwnModel = model\(Own\)$"
    with pytest.raises(TypeError, match=said):

        class _(Own):  # type: ignore[misc, valid-type]
            pass

    with pytest.raises(TypeError, match=r"^function is a model, and no class$"):

        class _(function):  # type: ignore[misc, valid-type, no-redef]
            pass
