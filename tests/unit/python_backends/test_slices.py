"""Calls of a served model with more rows than it takes, or with none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from tritonforge_runtime.dimensions import NamedDim
from tritonforge_runtime.errors import InvalidArgument, TritonError
from tritonforge_runtime.slices import Slices
from tritonforge_runtime.spec import ModelSpec, TensorSpec

Arrays = Mapping[str, np.ndarray[Any, Any]]

SPEC = ModelSpec(
    "seen",
    True,
    False,
    (TensorSpec("x", "FP32", (-1,)), TensorSpec("mask", "BOOL", (-1,), optional=True)),
    (TensorSpec("y", "FP32", (-1,)), TensorSpec("name", "BYTES", ()), TensorSpec("score", "INT64", (2, 3))),
)
SAME = NamedDim("n", inputs=[("x", 1), ("mask", 1)], outputs=[("y", 1)])


def x(rows: int) -> dict[str, np.ndarray[Any, Any]]:
    return {"x": np.arange(rows * 5, dtype=np.float32).reshape(rows, 5)}


class Model:
    """A served model; what it gives has as many columns as the first row of what it is sent says, where it `varies`."""

    def __init__(self, *, varies: bool = False) -> None:
        self.sent: list[int] = []
        self._varies = varies

    def __call__(self, arrays: Arrays) -> Arrays:
        given = arrays["x"]
        self.sent.append(len(given))
        columns = int(given[0, 0]) if self._varies else given.shape[1]
        names = np.array([str(row[0]) for row in given], object)
        return {
            "y": np.ones((len(given), columns), np.float32),
            "name": names,
            "score": np.ones((len(given), 2, 3), int),
        }


@pytest.mark.parametrize(("rows", "sent"), [(1, [1]), (4, [4]), (5, [1, 4]), (12, [4, 4, 4])])
def test_no_request_has_more_rows_than_the_model_takes(rows: int, sent: list[int]) -> None:
    model = Model()
    found = Slices(SPEC, model, 4, [SAME])(x(rows))
    assert sorted(model.sent) == sent
    assert [array.shape for array in found.values()] == [(rows, 5), (rows,), (rows, 2, 3)]
    assert found["name"].tolist() == [str(row[0]) for row in x(rows)["x"]]


def test_a_model_of_which_nothing_is_known_gets_all_rows() -> None:
    model = Model()
    Slices(SPEC, model, 0, [])(x(100))
    assert model.sent == [100]


def test_answers_that_differ_in_shape_can_not_be_joined() -> None:
    said = r'in slices of 2, as it takes no more; those of output "y" are \[0\] and \[10\], which can\'t be joined'
    with pytest.raises(TritonError, match=said) as caught:
        Slices(SPEC, Model(varies=True), 2, [SAME])(x(3))
    assert caught.value.model == "seen"


def test_a_call_without_rows_is_answered_here() -> None:
    model = Model()
    found = Slices(SPEC, model, 4, [SAME])({**x(0), "mask": np.ones((0, 5), bool)})
    assert not model.sent
    assert [array.shape for array in found.values()] == [(0, 5), (0,), (0, 2, 3)]
    assert [array.dtype for array in found.values()] == [np.float32, object, np.int64]


def test_a_dimension_that_nothing_tells_is_refused() -> None:
    slices = Slices(SPEC, Model(), 4, [])
    said = (
        r'^seen: got no rows, and nothing tells the dimensions of output "y", FP32\[batch, \?\], without any; '
        "call it only where there are rows$"
    )
    with pytest.raises(InvalidArgument, match=said):
        slices.check(x(0))
    with pytest.raises(InvalidArgument, match=said):
        slices(x(0))
    slices.check(x(1))
