"""Executions of models that answer each request once."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import stub_utils
from stub_utils import InferenceRequest, TritonError, code, message, outputs, tensor
from tritonforge_runtime.errors import LoadError
from tritonforge_runtime.errors import TritonError as Refusal
from tritonforge_runtime.execution import Execution
from tritonforge_runtime.failure import Failures
from tritonforge_runtime.spec import parse_spec
from tritonforge_runtime.wire import Wire

X = tensor("x", "FP32", [2])
Y = tensor("y", "FP32", [2])


def execution(
    function: Callable[..., Any], inputs: list[dict[str, Any]], results: list[dict[str, Any]], **more: Any
) -> Execution:
    text = more.pop("text", ())
    spec = parse_spec(stub_utils.arguments(inputs, results, **more)["model_config"])
    return Execution(spec, Wire(spec, text), function, Failures("fraud"))


def floats(*shape: int, value: float = 1) -> np.ndarray:
    return np.full(shape, value, np.float32)


class Recorder:
    """Doubles its input and keeps what it was called with."""

    def __init__(self) -> None:
        self.calls: list[np.ndarray] = []

    def __call__(self, x: np.ndarray) -> np.ndarray:
        self.calls.append(x)
        return x * 2


def test_requests_are_stacked_into_one_call_and_split_in_order() -> None:
    recorder = Recorder()
    run = execution(recorder, [X], [Y])

    responses = run([InferenceRequest(x=floats(rows, 2, value=rows)) for rows in (1, 3, 2)])

    assert [call.shape for call in recorder.calls] == [(6, 2)]
    assert [outputs(response)["y"].tolist() for response in responses] == [
        [[2, 2]],
        [[6, 6]] * 3,
        [[4, 4]] * 2,
    ]


def test_results_are_split_without_a_copy() -> None:
    results: list[np.ndarray] = []

    def predict(x: np.ndarray) -> np.ndarray:
        results.append(x + 1)
        return results[0]

    responses = execution(predict, [X], [Y])([InferenceRequest(x=floats(1, 2)) for _ in range(2)])

    assert all(np.shares_memory(response.output_tensors()[0].given, results[0]) for response in responses)


def test_a_single_request_is_not_copied() -> None:
    recorder = Recorder()
    request = InferenceRequest(x=floats(2, 2))

    execution(recorder, [X], [Y])([request])

    assert recorder.calls[0] is request.inputs()[0].as_numpy()


def test_zero_rows_are_served() -> None:
    run = execution(Recorder(), [X], [Y])

    responses = run([InferenceRequest(x=floats(0, 2)), InferenceRequest(x=floats(1, 2))])

    assert [outputs(response)["y"].shape for response in responses] == [(0, 2), (1, 2)]


def test_models_without_a_batch_are_called_once_for_each_request() -> None:
    recorder = Recorder()
    run = execution(recorder, [X], [Y], max_batch_size=0)

    run([InferenceRequest(x=floats(2)), InferenceRequest(x=floats(2))])

    assert [call.shape for call in recorder.calls] == [(2,), (2,)]


def test_requests_of_other_shapes_are_stacked_apart() -> None:
    recorder = Recorder()
    variable = tensor("x", "FP32", [-1]), tensor("y", "FP32", [-1])
    run = execution(recorder, [variable[0]], [variable[1]])

    responses = run([InferenceRequest(x=floats(1, size)) for size in (2, 5, 2)])

    assert [call.shape for call in recorder.calls] == [(2, 2), (1, 5)]
    assert [outputs(response)["y"].shape for response in responses] == [(1, 2), (1, 5), (1, 2)]


def test_inputs_come_by_name_whatever_their_order() -> None:
    z = tensor("z", "FP32", [2])
    run = execution(lambda x, z: x - z, [X, z], [Y])

    (response,) = run([InferenceRequest(z=floats(1, 2, value=1), x=floats(1, 2, value=5))])

    assert outputs(response)["y"].tolist() == [[4, 4]]


def test_an_optional_input_that_is_not_there_is_none() -> None:
    seen: list[tuple[int, bool]] = []

    def predict(x: np.ndarray, z: np.ndarray | None) -> np.ndarray:
        seen.append((len(x), z is None))
        return x if z is None else x + z

    run = execution(predict, [X, tensor("z", "FP32", [2], optional=True)], [Y])
    responses = run(
        [
            InferenceRequest(x=floats(1, 2)),
            InferenceRequest(x=floats(1, 2), z=floats(1, 2)),
            InferenceRequest(x=floats(1, 2)),
        ]
    )

    assert seen == [(2, True), (1, False)]
    assert [outputs(response)["y"][0, 0] for response in responses] == [1, 2, 1]


@pytest.mark.parametrize("max_batch_size", [0, 8])
def test_a_required_input_that_is_missing_is_refused(max_batch_size: int) -> None:
    """Triton counts inputs, so that an optional one may stand for it."""
    called: list[Any] = []

    def predict(a: np.ndarray | None, b: np.ndarray | None, c: np.ndarray) -> np.ndarray:
        called.append(c)
        return c

    inputs = [
        tensor("a", "FP32", [2], optional=True),
        tensor("b", "FP32", [2], optional=True),
        tensor("c", "FP32", [2]),
    ]
    run = execution(predict, inputs, [Y], max_batch_size=max_batch_size)
    x = floats(1, 2) if max_batch_size else floats(2)
    alone, (bad, good) = run([InferenceRequest(a=x)])[0], run([InferenceRequest(a=x), InferenceRequest(c=x)])

    for refused in (alone, bad):
        assert message(refused) == 'fraud: input "c" is missing, which is not optional'
        assert code(refused) == TritonError.INVALID_ARG
    assert outputs(good)["y"].tolist() == x.tolist()
    assert len(called) == 1


def test_a_model_whose_only_input_is_optional_is_called_without_it() -> None:
    run = execution(lambda x: floats(3, 2) if x is None else x, [tensor("x", "FP32", [2], optional=True)], [Y])

    responses = run([InferenceRequest(), InferenceRequest(x=floats(1, 2)), InferenceRequest()])

    assert [outputs(response)["y"].shape for response in responses] == [(3, 2), (1, 2), (3, 2)]


class Pair(NamedTuple):
    y: np.ndarray
    n: np.ndarray


@pytest.mark.parametrize(
    "form", [lambda y, n: (y, n), Pair, lambda y, n: {"n": n, "y": y}], ids=["tuple", "NamedTuple", "mapping"]
)
def test_results_of_several_outputs_come_in_three_forms(form: Callable[..., Any]) -> None:
    n = tensor("n", "INT64", [1], reshape={"shape": []})
    run = execution(lambda x: form(x, np.arange(len(x))), [X], [Y, n])

    responses = run([InferenceRequest(x=floats(2, 2)), InferenceRequest(x=floats(1, 2))])

    assert [outputs(response)["n"].tolist() for response in responses] == [[0, 1], [2]]
    assert [list(outputs(response)) for response in responses] == [["y", "n"]] * 2


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (np.zeros((1, 2)), 'output "y" is float64[1, 2]; wanted FP32[batch, 2] (convert it: .astype("float32"))'),
        (floats(1, 3), 'output "y" has shape [1, 3]; wanted FP32[batch, 2]'),
        (floats(2), 'output "y" has shape [2]; wanted FP32[batch, 2]'),
        (floats(3, 2), 'output "y" has 3 rows; wanted 1, one for each row of the inputs'),
        ([[1.0, 2.0]], 'output "y" is a list; wanted an np.ndarray of FP32[batch, 2]'),
        (None, 'output "y" is None; wanted an np.ndarray of FP32[batch, 2]'),
        ((floats(1, 2), floats(1, 2)), 'returned 2 outputs; wanted 1 output: "y"'),
        ({"z": floats(1, 2)}, 'returned a mapping of "z"; wanted "y"'),
        (floats(1, 2).astype(">f8"), 'output "y" is >f8[1, 2]; wanted FP32[batch, 2] (convert it: .astype("float32"))'),
        (
            np.ma.masked_array(floats(1, 2), [[True, False]]),
            'output "y" is a masked array; wanted FP32[batch, 2] without gaps: .filled(…) says what they are',
        ),
    ],
)
def test_a_result_that_breaks_the_signature_is_explained(result: object, said: str) -> None:
    (response,) = execution(lambda x: result, [X], [Y])([InferenceRequest(x=floats(1, 2))])

    assert message(response) == f"fraud: {said}"
    assert code(response) == TritonError.INTERNAL


@pytest.mark.parametrize("results", [1, 2])
@pytest.mark.parametrize("form", [lambda x: x.astype(">f4"), lambda x: x.view(np.recarray), np.asfortranarray])
def test_a_result_of_another_form_is_sent_as_an_array(form: Callable[..., Any], results: int) -> None:
    run = execution(lambda x: (form(x), x)[:results], [X], [Y, tensor("z", "FP32", [2])][:results])

    (response,) = run([InferenceRequest(x=np.array([[1, 2], [3, 4]], np.float32))])

    assert type(response.output_tensors()[0].given) is np.ndarray
    assert outputs(response)["y"].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ([floats(1, 2), floats(1, 2)], 'returned a list; wanted a tuple of 2 arrays: "y", "z"'),
        (floats(1, 2), 'returned 1 output; wanted 2 outputs: "y", "z"'),
    ],
)
def test_a_result_that_is_no_tuple_is_explained(result: object, said: str) -> None:
    run = execution(lambda x: result, [X], [Y, tensor("z", "FP32", [2])])

    assert message(run([InferenceRequest(x=floats(1, 2))])[0]) == f"fraud: {said}"


@pytest.mark.parametrize("kind", [ValueError, SystemExit])
def test_one_bad_request_fails_alone(kind: type[BaseException]) -> None:
    def predict(x: np.ndarray) -> np.ndarray:
        if (x < 0).any():
            raise kind("negative")
        return x

    responses = execution(predict, [X], [Y])([InferenceRequest(x=floats(1, 2, value=v)) for v in (1, -1, 3)])

    assert [response.has_error() for response in responses] == [False, True, False]
    assert message(responses[1]) == f"{kind.__name__}: negative"
    assert outputs(responses[2])["y"].tolist() == [[3, 3]]


def test_a_failure_of_stacked_requests_that_none_has_alone_is_logged(capfd: pytest.CaptureFixture[str]) -> None:
    def predict(x: np.ndarray) -> np.ndarray:
        if len(x) > 1:
            raise ValueError("one row at a time")
        return x

    responses = execution(predict, [X], [Y])([InferenceRequest(x=floats(1, 2)) for _ in range(3)])

    assert not any(response.has_error() for response in responses)
    assert "failed for 3 requests stacked, and for none of them alone" in capfd.readouterr().err


def test_the_log_has_the_whole_traceback_once_for_each_culprit(capfd: pytest.CaptureFixture[str]) -> None:
    def predict(x: np.ndarray) -> np.ndarray:
        raise KeyError("missing")

    execution(predict, [X], [Y])([InferenceRequest(x=floats(1, 2)) for _ in range(2)])

    assert capfd.readouterr().err.count("Traceback (most recent call last)") == 2


def test_a_refusal_reaches_the_client_with_its_code(capfd: pytest.CaptureFixture[str]) -> None:
    def predict(x: np.ndarray) -> np.ndarray:
        raise Refusal("no such customer", code="NOT_FOUND")

    (response,) = execution(predict, [X], [Y])([InferenceRequest(x=floats(1, 2))])

    assert (message(response), code(response)) == ("no such customer", TritonError.NOT_FOUND)
    assert capfd.readouterr().err == ""


def test_text_is_str_and_raw_strings_are_bytes() -> None:
    seen: list[list[list[object]]] = []

    def predict(title: np.ndarray, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen.append([title.tolist(), raw.tolist()])
        return np.char.upper(title.astype(str)), raw

    strings = [tensor(name, "BYTES", [1]) for name in ("title", "raw", "upper", "same")]
    run = execution(predict, strings[:2], strings[2:], text={"title"})
    values = np.array([["é"]], dtype=object), np.array([[b"\xff\0"]], dtype=object)

    (response,) = run([InferenceRequest(title=values[0], raw=values[1])])

    assert seen == [[[["é"]], [[b"\xff\0"]]]]
    assert outputs(response)["upper"].tolist() == [["É".encode()]]
    assert outputs(response)["same"].tolist() == [[b"\xff\0"]]


def test_bad_text_fails_its_own_request() -> None:
    strings = tensor("x", "BYTES", [1]), tensor("y", "BYTES", [1])
    run = execution(lambda x: x, [strings[0]], [strings[1]], text={"x"})

    responses = run([InferenceRequest(x=np.array([[value]], dtype=object)) for value in (b"ok", b"\xff")])

    assert [response.has_error() for response in responses] == [False, True]
    assert message(responses[1]) == 'fraud: input "x" is not valid UTF-8 at [0, 0]: byte 0xff at position 0'
    assert code(responses[1]) == TritonError.INVALID_ARG


def test_bf16_goes_in_and_out() -> None:
    import ml_dtypes

    kinds: list[np.dtype[Any]] = []

    def predict(x: np.ndarray) -> np.ndarray:
        kinds.append(x.dtype)
        return x * ml_dtypes.bfloat16(2)

    run = execution(predict, [tensor("x", "BF16", [2])], [tensor("y", "BF16", [2])])
    value = np.array([[1.5, -3]], dtype=ml_dtypes.bfloat16)

    responses = run([InferenceRequest(x=value), InferenceRequest(x=value)])

    assert kinds == [np.dtype(ml_dtypes.bfloat16)]
    for response in responses:
        (result,) = response.output_tensors()
        assert result.datatype == "BF16"
        assert result.given.view(ml_dtypes.bfloat16).tolist() == [[3, -6]]


@pytest.mark.parametrize(("inputs", "results"), [("BF16", "FP32"), ("FP32", "BF16")])
def test_bf16_without_ml_dtypes_is_refused_at_load(monkeypatch: pytest.MonkeyPatch, inputs: str, results: str) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)

    with pytest.raises(LoadError, match=r'"[xy]" is BF16, which needs the package ml_dtypes in the Python that Triton'):
        execution(Recorder(), [tensor("x", inputs, [2])], [tensor("y", results, [2])])


def test_cancelled_requests_are_skipped_once_calls_are_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    import tritonforge_runtime.execution as module

    monkeypatch.setattr(module, "_PATIENCE_S", -1.0)
    recorder = Recorder()
    run = execution(recorder, [X], [Y])

    responses = run([InferenceRequest(x=floats(1, 2), is_cancelled=lambda: True), InferenceRequest(x=floats(1, 2))])

    assert [len(call) for call in recorder.calls] == [1]
    assert code(responses[0]) == TritonError.CANCELLED
    assert outputs(responses[1])["y"].tolist() == [[2, 2]]


def test_quick_calls_never_ask_whether_a_request_was_cancelled() -> None:
    def asked() -> bool:
        raise AssertionError("a round trip to the server for nothing")

    run = execution(Recorder(), [X], [Y])

    for _ in range(3):
        responses = run([InferenceRequest(x=floats(1, 2), is_cancelled=asked) for _ in range(2)])
        assert not any(response.has_error() for response in responses)


@pytest.mark.parametrize(("told", "wanted"), [(True, "tritonforge_code=NOT_FOUND; none"), (False, "none")])
def test_only_a_model_of_ours_is_told_the_code_in_the_message(told: bool, wanted: str) -> None:
    def predict(x: np.ndarray) -> np.ndarray:
        raise Refusal("none", code="NOT_FOUND")

    request = InferenceRequest(x=floats(1, 2))
    request.parameters = lambda: '{"tritonforge_codes":true}' if told else '{"other":1}'  # type: ignore[method-assign]
    (response,) = execution(predict, [X], [Y])([request])

    assert (message(response), code(response)) == (wanted, TritonError.NOT_FOUND)
