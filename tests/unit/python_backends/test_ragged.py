"""Ragged batches: requests end to end, and the tensors that tell them apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import stub_utils
from stub_utils import InferenceRequest, message, outputs, tensor
from tritonforge_runtime.failure import Failures
from tritonforge_runtime.ragged import RaggedExecution, parse_ragged
from tritonforge_runtime.spec import parse_spec
from tritonforge_runtime.wire import Wire


def execution(function: Any, kind: str = "BATCH_ELEMENT_COUNT", dims: tuple[int, ...] = (-1,)) -> RaggedExecution:
    config = stub_utils.arguments(
        [tensor("x", "FP32", list(dims), allow_ragged_batch=True), tensor("fixed", "FP32", [2], optional=True)],
        [tensor("same", "FP32", list(dims)), tensor("row", "FP32", [1])],
        batch_input=[{"kind": kind, "target_name": ["told"], "data_type": "TYPE_INT32", "source_input": ["x"]}],
        batch_output=[{"target_name": ["same"], "source_input": ["x"]}],
    )["model_config"]
    spec, ragged = parse_spec(config), parse_ragged(config)
    assert ragged is not None
    return RaggedExecution(spec, ragged, Wire(spec, ()), function, Failures("fraud"))


def rows(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("BATCH_ELEMENT_COUNT", [6, 4]),
        ("BATCH_ACCUMULATED_ELEMENT_COUNT", [6, 10]),
        ("BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO", [0, 6, 10]),
        ("BATCH_ITEM_SHAPE", [[3, 1], [3, 1], [2, 2]]),
        ("BATCH_ITEM_SHAPE_FLATTEN", [3, 1, 3, 1, 2, 2]),
    ],
)
def test_each_kind_is_computed_of_the_shapes(kind: str, told: list[Any]) -> None:
    """The example of Triton's own description of the kinds."""
    seen = {}

    def run(**inputs: Any) -> Any:
        seen.update(inputs)
        return inputs["x"] + 1, np.zeros((3, 1), np.float32)

    requests = [InferenceRequest(x=rows(2, 3, 1)), InferenceRequest(x=rows(1, 2, 2))]
    responses = execution(run, kind, (-1, -1))(requests)

    assert seen["told"].tolist() == told
    assert seen["told"].dtype == np.int32
    assert seen["x"].tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3]
    for shape, response in zip([(2, 3, 1), (1, 2, 2)], responses, strict=True):
        np.testing.assert_array_equal(outputs(response)["same"], rows(*shape) + 1)
        assert outputs(response)["row"].shape == (shape[0], 1)


def test_the_longest_is_told_by_a_shape() -> None:
    seen = []

    def run(**inputs: Any) -> Any:
        seen.append(inputs["told"].shape)
        return inputs["x"], np.zeros((2, 1), np.float32)

    execution(run, "BATCH_MAX_ELEMENT_COUNT_AS_SHAPE")([InferenceRequest(x=rows(1, 3)), InferenceRequest(x=rows(1, 5))])

    assert seen == [(5,)]


def test_one_bad_request_fails_alone() -> None:
    def run(**inputs: Any) -> Any:
        if (inputs["x"] < 0).any():
            raise ValueError("negative")
        return inputs["x"], np.zeros((len(inputs["told"]), 1), np.float32)

    good, bad = execution(run)([InferenceRequest(x=rows(1, 3)), InferenceRequest(x=-rows(1, 2) - 1)])

    assert outputs(good)["same"].tolist() == [[0, 1, 2]]
    assert message(bad) == "ValueError: negative"


@pytest.mark.parametrize(
    ("result", "wrong"),
    [
        ((rows(4), np.zeros((1, 1), np.float32)), 'output "same" has 4 elements; wanted 3, as many as the input'),
        ((rows(3), np.zeros((2, 1), np.float32)), 'output "row" has shape [2, 1]; wanted 1 rows, as the inputs'),
    ],
)
def test_a_result_of_another_size_is_told(result: Any, wrong: str) -> None:
    (response,) = execution(lambda **_: result)([InferenceRequest(x=rows(1, 3))])

    assert wrong in message(response)


def test_where_nothing_is_ragged_there_is_nothing() -> None:
    config = stub_utils.arguments([tensor("x", "FP32", [2])], [tensor("y", "FP32", [2])])["model_config"]

    assert parse_ragged(config) is None
