"""Requests that differ in a padded dimension, stacked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import stub_utils
from stub_utils import InferenceRequest, TritonError, code, message, outputs, tensor
from tritonforge_runtime.execution import Execution
from tritonforge_runtime.failure import Failures
from tritonforge_runtime.padding import PaddedDim, Padding
from tritonforge_runtime.spec import parse_spec
from tritonforge_runtime.wire import Wire

SEQ = PaddedDim("seq", -1, inputs=[("ids", 1)], outputs=[("twice", 1)], mask=True)
INPUTS = [tensor("ids", "INT64", [-1])]
OUTPUTS = [tensor("twice", "INT64", [-1]), tensor("length", "INT64", [1])]


def execution(function: Callable[..., Any], *dims: PaddedDim, inputs: Any = None, results: Any = None) -> Execution:
    spec = parse_spec(stub_utils.arguments(inputs or INPUTS, results or OUTPUTS)["model_config"])
    padding = Padding(dims, [each.name for each in spec.inputs], [each.name for each in spec.outputs])
    return Execution(spec, Wire(spec, ()), function, Failures("fraud"), padding=padding)


def ids(*row: int, rows: int = 1) -> np.ndarray:
    return np.array([row] * rows, np.int64).reshape(rows, len(row))


def double(ids: np.ndarray, seq_mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    assert seq_mask.dtype == bool
    assert (ids[~seq_mask] == -1).all()
    return ids * 2, np.full((len(ids), 1), ids.shape[1])


def test_requests_of_different_sizes_share_a_call_and_get_their_own_size_back() -> None:
    calls: list[tuple[int, ...]] = []

    def predict(ids: np.ndarray, seq_mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        calls.append(ids.shape)
        assert seq_mask.tolist() == [[True, False, False], [True] * 3, [True] * 3, [False] * 3]
        return double(ids, seq_mask)

    responses = execution(predict, SEQ)(
        [InferenceRequest(ids=each) for each in (ids(1), ids(2, 3, 4, rows=2), ids(rows=1))]
    )

    assert calls == [(4, 3)]
    assert [outputs(response)["twice"].tolist() for response in responses] == [[[2]], [[4, 6, 8]] * 2, [[]]]


@pytest.mark.parametrize("count", [1, 2])
def test_buckets_are_filled_up_to(count: int) -> None:
    run = execution(double, PaddedDim("seq", -1, (4, 8), SEQ.inputs, SEQ.outputs, mask=True))

    responses = run([InferenceRequest(ids=ids(1, 2, 3))] + [InferenceRequest(ids=ids(5, 6, 7, 8, 9))] * (count - 1))

    assert outputs(responses[0])["twice"].tolist() == [[2, 4, 6]]
    assert outputs(responses[0])["length"].item() == (4 if count == 1 else 8)


def test_a_request_past_the_last_bucket_is_refused_alone() -> None:
    run = execution(double, PaddedDim("seq", -1, (2,), SEQ.inputs, SEQ.outputs, mask=True))

    responses = run([InferenceRequest(ids=each) for each in (ids(1), ids(1, 2, 3), ids(2, 3))])

    assert [response.has_error() for response in responses] == [False, True, False]
    assert message(responses[1]) == "fraud: seq is 3, longer than the 2 that it takes at most (pad_to)"
    assert code(responses[1]) == TritonError.INVALID_ARG


def test_equal_sizes_are_not_copied_twice_and_one_request_not_at_all() -> None:
    seen: list[np.ndarray] = []

    def predict(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen.append(ids)
        return ids, np.zeros((len(ids), 1), np.int64)

    request = InferenceRequest(ids=ids(1, 2))
    execution(predict, PaddedDim("seq", 0, (), SEQ.inputs, SEQ.outputs))([request])

    assert seen[0] is request.inputs()[0].as_numpy()


def test_inputs_of_one_request_must_agree() -> None:
    both = [tensor("ids", "INT64", [-1]), tensor("kinds", "INT64", [-1])]
    dim = PaddedDim("seq", 0, (), [("ids", 1), ("kinds", 1)], [("twice", 1)])
    run = execution(lambda ids, kinds: (ids + kinds, ids[:, :1]), dim, inputs=both)

    bad, good = run([InferenceRequest(ids=ids(1, 2), kinds=ids(1)), InferenceRequest(ids=ids(1, 2), kinds=ids(1, 1))])

    assert message(bad) == 'fraud: seq is 1 in input "kinds", but 2 in "ids"'
    assert outputs(good)["twice"].tolist() == [[2, 3]]


def test_a_result_that_lost_the_padding_is_explained() -> None:
    run = execution(lambda ids, seq_mask: (ids[:, :1], ids[:, :1]), SEQ)

    responses = run([InferenceRequest(ids=ids(1, 2, 3)), InferenceRequest(ids=ids(1, 2))])

    assert message(responses[0]) == 'fraud: output "twice" has seq 1; wanted 3, as padded'


def test_two_dimensions_strings_and_other_shapes() -> None:
    grid = PaddedDim("h", "", (), [("x", 1)], [("y", 1)]), PaddedDim("w", "", (), [("x", 2)], [("y", 2)])
    x = tensor("x", "BYTES", [-1, -1, -1])
    shapes: list[tuple[int, ...]] = []

    def predict(x: np.ndarray) -> np.ndarray:
        shapes.append(x.shape)
        return x

    run = execution(predict, *grid, inputs=[x], results=[tensor("y", "BYTES", [-1, -1, -1])])
    sizes = [(1, 2, 3, 1), (1, 3, 1, 1), (1, 2, 2, 2)]

    responses = run([InferenceRequest(x=np.full(size, b"a", object)) for size in sizes])

    assert shapes == [(2, 3, 3, 1), (1, 2, 2, 2)]
    assert [outputs(response)["y"].shape for response in responses] == sizes
    assert all((outputs(response)["y"] == b"a").all() for response in responses)


def test_a_bad_request_fails_alone_and_the_rest_are_padded_again() -> None:
    def predict(ids: np.ndarray, seq_mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if (ids == 13).any():
            raise ValueError("unlucky")
        return double(ids, seq_mask)

    responses = execution(predict, SEQ)([InferenceRequest(ids=each) for each in (ids(1), ids(13, 13), ids(2, 3, 4))])

    assert [response.has_error() for response in responses] == [False, True, False]
    assert outputs(responses[2])["twice"].tolist() == [[4, 6, 8]]


@pytest.mark.parametrize(
    "form", [lambda *both: both, lambda *both: dict(zip(["length", "twice"], both[::-1], strict=True))]
)
def test_a_part_is_padded_by_itself(form: Callable[..., Any]) -> None:
    names = ["ids"]
    padding = Padding([PaddedDim("seq", -1, (4,), SEQ.inputs, SEQ.outputs, mask=True)], names, ["twice", "length"])

    found = padding.around(lambda **given: form(*double(**given)), names)(ids=ids(1, 2))
    twice, length = (found["twice"], found["length"]) if isinstance(found, dict) else found

    assert twice.tolist() == [[2, 4]]
    assert length.item() == 4
