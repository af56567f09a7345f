"""Named dimensions that several tensors have: one size within a call."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
import stub_utils
from stub_utils import InferenceRequest, TritonError, code, message, outputs, tensor
from tritonforge_runtime.awaitables import is_async
from tritonforge_runtime.dimensions import NamedDim, agreeing
from tritonforge_runtime.errors import InvalidResult, Refused
from tritonforge_runtime.execution import Execution
from tritonforge_runtime.failure import Failures
from tritonforge_runtime.spec import parse_spec
from tritonforge_runtime.wire import Wire

N = NamedDim("n", inputs=[("a", 1), ("b", 1)], outputs=[("y", 1)])


def rows(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def test_a_request_that_disagrees_is_refused_alone() -> None:
    both = [tensor("a", "FP32", [-1]), tensor("b", "FP32", [-1])]
    spec = parse_spec(stub_utils.arguments(both, [tensor("y", "FP32", [-1])])["model_config"])
    function = agreeing(lambda a, b: a + b, [N], ["y"])
    run = Execution(spec, Wire(spec, ()), function, Failures("fraud"))

    good, *bad = run(
        [InferenceRequest(a=rows(1, 3), b=rows(1, size)) for size in (3, 1, 1)]  # two that are stacked
    )

    assert outputs(good)["y"].tolist() == [[2, 2, 2]]
    assert {message(one) for one in bad} == {'fraud: n is 1 in input "b", but 3 in "a"'}
    assert {code(one) for one in bad} == {TritonError.INVALID_ARG}


@pytest.mark.parametrize("result", [rows(2, 6), (rows(2, 6),), {"y": rows(2, 6)}], ids=["array", "tuple", "mapping"])
def test_a_result_that_disagrees_is_explained(result: Any) -> None:
    with pytest.raises(InvalidResult, match=r'output "y" has shape \[2, 6\]: n is 6, but 3 in "a"'):
        agreeing(lambda a, b: result, [N], ["y"])(a=rows(2, 3), b=rows(2, 3))


def test_outputs_agree_among_themselves_and_one_with_itself() -> None:
    square = NamedDim("k", outputs=[("y", 0), ("y", 1), ("z", 0)])
    function = agreeing(lambda y, z: (y, z), [square], ["y", "z"])

    function(y=rows(2, 2), z=rows(2))
    with pytest.raises(InvalidResult, match=r'output "y" has shape \[2, 3\]: k is 3, but 2 in "y"'):
        function(y=rows(2, 3), z=rows(2))
    with pytest.raises(InvalidResult, match=r'output "z" has shape \[3\]: k is 3, but 2 in "y"'):
        function(y=rows(2, 2), z=rows(3))


@pytest.mark.parametrize("result", [None, rows(3), [1], (), iter([rows(1)])])
def test_what_other_checks_tell_is_left_to_them(result: Any) -> None:
    assert agreeing(lambda a, b: result, [N], ["y"])(a=rows(1, 3), b=None) is result


def test_a_coroutine_functions_result_is_looked_at_when_it_is_there() -> None:
    async def predict(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return rows(1, 5)

    function = agreeing(predict, [N], ["y"])

    assert is_async(function)
    with pytest.raises(InvalidResult, match="n is 5, but 3"):
        asyncio.run(function(a=rows(1, 3), b=rows(1, 3)))
    with pytest.raises(Refused, match="n is 2"):
        function(a=rows(1, 3), b=rows(1, 2))


def test_a_sequence_model_keeps_its_start() -> None:
    class Total:
        def start(self) -> list[int]:
            return []

        def __call__(self, state: list[int], a: np.ndarray, b: np.ndarray) -> np.ndarray:
            state.append(1)
            return a + b

    function: Any = agreeing(Total(), [N], ["y"])
    state = function.start()

    function(state, a=rows(1, 3), b=rows(1, 3))

    assert state == [1]
    with pytest.raises(Refused):
        function(state, a=rows(1, 3), b=rows(1, 2))
