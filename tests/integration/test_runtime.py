"""What runs inside Triton, in the real server: the runtime, and the backends that stand in for native ones."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytest
import runtime_models
import tritonclient.grpc as triton
from runtime_support import Server, serve
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

PATIENCE_S = 20.0
TORCH_RAGGED = ("doubled__0", "last__1")

Infer = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    runtime_models.write(folder)
    return folder


@pytest.fixture(scope="module")
def server(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(repository, tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def infer(server: Server) -> Iterator[Infer]:
    """Call a model with arrays by name; give the results by name."""
    with triton.InferenceServerClient(server.grpc) as client:

        def call(model: str, **arrays: np.ndarray) -> dict[str, Any]:
            answer = client.infer(model, [tensor(name, array) for name, array in arrays.items()])
            return {output.name: answer.as_numpy(output.name) for output in answer.get_response().outputs}

        yield call


def tensor(name: str, array: np.ndarray) -> triton.InferInput:
    given = triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    given.set_data_from_numpy(array)
    return given


def strings(*items: str | bytes) -> np.ndarray:
    return np.array(items, dtype=object).reshape(-1, 1)


def floats(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def together(calls: list[Callable[[], Any]]) -> list[Any]:
    """Make calls at the same time; give their results or exceptions."""

    def attempt(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except InferenceServerException as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(attempt, calls))


# --- the runtime ----------------------------------------------------------------------------------------------------


def test_concurrent_requests_are_stacked(infer: Infer) -> None:
    most = 0
    for _ in range(20):  # on a busy machine they may start one after the other
        results = together([lambda v=value: infer("stacked", x=floats([v, v], [v, v])) for value in range(8)])
        for value, result in enumerate(results):
            np.testing.assert_array_equal(result["y"], floats([value * 2] * 2, [value * 2] * 2))
        most = max(result["rows"].max() for result in results)
        if most > 2:
            break
    assert most > 2, "at least two requests ran in one call"


def test_one_bad_request_of_a_batch_fails_alone(infer: Infer) -> None:
    results = together([lambda v=value: infer("picky", x=floats([v])) for value in (1, 2, -1, 3, 4, -2)])

    failed = [isinstance(result, InferenceServerException) for result in results]
    assert failed == [False, False, True, False, False, True]
    assert "ValueError: -1.0 is negative  (fraud.py:8 in check)" in str(results[2])
    assert "-2.0 is negative" in str(results[5])
    assert results[0]["rows"].item() == 1


def test_the_log_has_the_traceback(infer: Infer, server: Server) -> None:
    with pytest.raises(InferenceServerException):
        infer("picky", x=floats([-7]))

    assert 'source/fraud.py", line 8, in check' in server.log.read_text()


@pytest.mark.parametrize(
    ("code", "status"),
    [("NOT_FOUND", "NOT_FOUND"), ("INVALID_ARG", "INVALID_ARGUMENT"), ("UNAVAILABLE", "UNAVAILABLE")],
)
def test_a_refusal_reaches_the_client_with_its_code(infer: Infer, code: str, status: str) -> None:
    with pytest.raises(InferenceServerException) as caught:
        infer("refusing", code=strings(code))

    assert caught.value.status() == f"StatusCode.{status}"
    assert caught.value.message() == "no such customer"


def test_a_wrong_result_is_explained(infer: Infer) -> None:
    with pytest.raises(InferenceServerException) as caught:
        infer("wrong", x=floats([1]))

    assert caught.value.message() == (
        'wrong: output "y" is float64[1, 1]; wanted FP32[batch, 1] (convert it: .astype("float32"))'
        "  (fraud.py:2 predict)"
    )


def test_an_optional_input_may_be_left_out(infer: Infer) -> None:
    assert infer("optional", x=floats([1]))["y"].item() == 1
    assert infer("optional", x=floats([1]), z=floats([2]))["y"].item() == 3


def test_strings_go_both_ways(infer: Infer) -> None:
    result = infer("texts", title=strings("é", "b"), raw=strings(b"\xff\0", b""))

    assert result["upper"].tolist() == [["É".encode()], [b"B"]]
    assert result["same"].tolist() == [[b"\xff\0"], [b""]]
    assert result["length"].tolist() == [[1], [1]]


def test_text_files_and_modules_are_utf8(infer: Infer, server: Server) -> None:
    """Triton's own Python starts with ASCII for all of them."""
    result = infer("utf8", x=np.array(["é"], object))

    assert [each.decode() for each in result["y"].tolist()] == ["größe", "ü", "ß", "é"]
    assert "printed é" in server.log.read_text(encoding="utf-8", errors="replace")


def test_text_that_is_not_utf8_is_refused(infer: Infer) -> None:
    with pytest.raises(InferenceServerException) as caught:
        infer("texts", title=strings(b"\xff"), raw=strings(b""))

    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert caught.value.message() == 'texts: input "title" is not valid UTF-8 at [0, 0]: byte 0xff at position 0'


def test_a_rank_1_batch_has_a_column_for_clients(infer: Infer) -> None:
    result = infer("rank1", x=floats([1], [2], [3]))

    assert result["y"].tolist() == [[6], [6], [6]]
    assert result["shape"].tolist() == [[3], [3], [3]]


def test_bf16_goes_both_ways(infer: Infer) -> None:
    import ml_dtypes

    value = np.array([[1.5, -3.0]], dtype=ml_dtypes.bfloat16)
    for _ in range(50):
        result = infer("brain", x=value)

    assert np.asarray(result["y"], dtype=np.float32).tolist() == [[3.0, -6.0]]


def test_models_without_a_batch(infer: Infer) -> None:
    result = infer("unbatched", x=np.array([3, 4], dtype=np.int64))

    assert result["total"].tolist() == [7]
    assert infer("unbatched", x=np.array([], dtype=np.int64))["total"].tolist() == [0]


@pytest.mark.parametrize("model", ["stacked", "onnx_full", "torch_difference"])
def test_a_batched_request_of_no_rows_is_refused_by_the_server(infer: Infer, model: str) -> None:
    """Triton 24.10 takes none of zero rows; models without a batch may have dimensions of 0."""
    none = np.zeros((0, 2), np.float32)
    with pytest.raises(InferenceServerException) as caught:
        infer(model, **({"a": none, "b": none} if model == "torch_difference" else {"x": none}))

    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"


def test_a_class_keeps_its_state(infer: Infer) -> None:
    assert [infer("counter", x=floats([0]))["y"].item() for _ in range(3)] == [1, 2, 3]


def test_a_module_that_cannot_be_imported_says_why(server: Server) -> None:
    reason = server.reason("broken")

    assert "ModuleNotFoundError: No module named 'nothing_of_that_name'  (fraud.py:3 in <module>)" in reason
    assert 'source/fraud.py", line 3, in <module>' in reason


def test_only_what_triton_itself_imports_is_compiled(repository: Path, infer: Infer) -> None:
    infer("rank1", x=floats([1]))

    compiled = {path.relative_to(repository).parts[1:-2] for path in repository.rglob("*.pyc")}
    assert compiled <= {("1",), ("1", "tritonforge_runtime")}
    assert {path.name.split(".")[0] for path in repository.rglob("*.pyc")} <= {"model", "__init__"}


class Stream:
    """One gRPC stream to the server, and what comes back on it."""

    def __init__(self, server: Server) -> None:
        self._client = triton.InferenceServerClient(server.grpc)
        self._answers: queue.Queue[Any] = queue.Queue()
        self._client.start_stream(lambda result, error: self._answers.put(error or result))

    def ask(self, model: str, **arrays: np.ndarray) -> None:
        self._client.async_stream_infer(
            model,
            [tensor(name, array) for name, array in arrays.items()],
            request_id=str(arrays),
            enable_empty_final_response=True,
        )

    def next(self) -> Any:
        return self._answers.get(timeout=PATIENCE_S)

    def until_final(self) -> Iterator[Any]:
        """Give results and errors up to the final flag, which must come with nothing in it, or with an error."""
        while True:
            answer = self.next()
            if isinstance(answer, InferenceServerException):
                yield answer
                return
            response = answer.get_response()
            if response.parameters["triton_final_response"].bool_param:
                assert not response.outputs
                return
            yield answer.as_numpy("y").item()

    def close(self, *, cancel: bool = False) -> None:
        self._client.stop_stream(cancel_requests=cancel)
        self._client.close()


@pytest.fixture
def stream(server: Server) -> Iterator[Callable[[], Stream]]:
    opened: list[Stream] = []

    def make() -> Stream:
        opened.append(Stream(server))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def test_a_decoupled_model_streams(stream: Callable[[], Stream]) -> None:
    each = stream()
    for number in (3, 0, 1):
        each.ask("count", n=np.array([[number]]))
        assert list(each.until_final()) == list(range(number))


def test_an_error_ends_a_stream(stream: Callable[[], Stream]) -> None:
    each = stream()
    each.ask("count", n=np.array([[-1]]))

    (error,) = each.until_final()

    assert "ValueError: -1 is negative  (fraud.py:" in str(error)


def test_streams_run_side_by_side_and_a_cancelled_one_ends(stream: Callable[[], Stream], infer: Infer) -> None:
    endless, short = stream(), stream()
    endless.ask("count", n=np.array([[2**40]]))
    assert endless.next().as_numpy("y").item() == 0

    short.ask("count", n=np.array([[2]]))
    assert list(short.until_final()) == [0, 1]
    assert infer("closed", x=floats([0]))["y"].item() == 0

    endless.close(cancel=True)
    deadline = monotonic() + PATIENCE_S
    while not (closed := infer("closed", x=floats([0]))["y"].item()) and monotonic() < deadline:
        threading.Event().wait(0.05)
    assert closed == 1, "the generator was closed"


# --- the backends ---------------------------------------------------------------------------------------------------


def test_onnx_with_a_configuration(infer: Infer) -> None:
    results = together([lambda v=value: infer("onnx_full", x=floats([v, v])) for value in range(8)])

    assert [result["label"].tolist() for result in results] == [[[2 * value]] for value in range(8)]
    np.testing.assert_array_equal(results[3]["y"], floats([4, 4]))


@pytest.mark.parametrize("model", ["onnx_bare", "onnx_folder"])
def test_onnx_without_a_configuration(infer: Infer, server: Server, model: str) -> None:
    np.testing.assert_array_equal(infer(model, x=floats([1, 2], [3, 4]))["y"], floats([2, 3], [4, 5]))

    with triton.InferenceServerClient(server.grpc) as client:
        config = client.get_model_config(model).config
    assert config.max_batch_size == 4
    assert config.HasField("dynamic_batching")
    assert [(each.name, list(each.dims), each.HasField("reshape")) for each in config.output] == [
        ("y", [2], False),
        ("label", [1], True),
    ]


def test_onnx_strings(infer: Infer) -> None:
    assert infer("onnx_strings", x=strings("é", "b"))["y"].tolist() == [["é".encode()], [b"b"]]


def test_onnx_without_a_batch(infer: Infer, server: Server) -> None:
    result = infer("onnx_unbatched", x=np.array([1, 2, 3], dtype=np.float32))

    assert result["total"].tolist() == [6]
    with triton.InferenceServerClient(server.grpc) as client:
        assert client.get_model_config("onnx_unbatched").config.max_batch_size == 0


def test_onnx_optional_inputs_are_the_graphs_initializers(infer: Infer) -> None:
    assert infer("onnx_optional", x=floats([1, 1]))["y"].tolist() == [[11, 11]]
    assert infer("onnx_optional", x=floats([1, 1]), bias=floats([5, 5]))["y"].tolist() == [[6, 6]]


def test_onnx_that_disagrees_with_its_configuration_is_refused(server: Server) -> None:
    assert 'input "x" is FP32[batch, 3] in the configuration, but x: FP32[-1, 2] in the graph' in server.reason(
        "onnx_wrong"
    )
    assert "cpu_execution_accelerator is 'xnnpack'; wanted openvino" in server.reason("onnx_accelerator")
    assert "execution_mode is '7'; wanted 0 (sequential) or 1 (parallel)" in server.reason("onnx_parameter")


@pytest.mark.parametrize(("model", "names"), [("torch_index", ("INPUT__0", "INPUT__1")), ("torch_names", ("b", "a"))])
def test_torchscript_inputs_by_position_and_by_name(infer: Infer, model: str, names: tuple[str, str]) -> None:
    first = floats([5, 5], [6, 6])
    second = floats([1, 2], [3, 4])
    a, b = (first, second) if names == ("INPUT__0", "INPUT__1") else (second, first)

    result = infer(model, **dict(zip(names, (first, second), strict=True)))

    np.testing.assert_array_equal(result[runtime_models.TORCH_OUTPUTS[model][0]], a - b)
    np.testing.assert_array_equal(result[runtime_models.TORCH_OUTPUTS[model][1]], (a + b).sum(1, keepdims=True))


def test_torchscript_dictionaries_and_strings(infer: Infer) -> None:
    assert infer("torch_dict", x=floats([1, 2]))["double"].tolist() == [[2, 4]]
    assert infer("torch_strings", x=np.array(["é", "b"], dtype=object))["y"].tolist() == ["<é>".encode(), b"<b>"]


def test_torchscript_inputs_in_one_dictionary_and_one_result_of_two(infer: Infer) -> None:
    results = together(
        [lambda v=value: infer("torch_difference", a=floats([v, 1]), b=floats([1, v])) for value in range(6)]
    )

    assert [result["OUTPUT__1"].tolist() for result in results] == [[[value - 1, 1 - value]] for value in range(6)]


def test_torchscript_bf16_and_optional_inputs(infer: Infer) -> None:
    import ml_dtypes

    x = np.array([[1.5, -3.0]], dtype=ml_dtypes.bfloat16)

    assert np.asarray(infer("torch_brain", x=x)["y"], np.float32).tolist() == [[3, -6]]
    assert np.asarray(infer("torch_brain", x=x, factor=x)["y"], np.float32).tolist() == [[2.25, 9]]


def test_torchscript_without_a_configuration_is_refused(server: Server) -> None:
    assert "config.pbtxt names no input and no output, which a TorchScript file doesn't say" in server.reason(
        "torch_bare"
    )


# --- ragged batches -------------------------------------------------------------------------------------------------

RAGGED = [np.arange(1, size + 1, dtype=np.float32)[None] for size in (1, 4, 2, 3, 5, 1)]


@pytest.mark.parametrize(("model", "names"), [("onnx_ragged", ("doubled", "last")), ("torch_ragged", TORCH_RAGGED)])
def test_requests_of_different_sizes_reach_a_graph_end_to_end(infer: Infer, model: str, names: tuple[str, str]) -> None:
    results = together([lambda x=x: infer(model, x=x) for x in RAGGED])

    doubled, last = names
    for x, result in zip(RAGGED, results, strict=True):
        np.testing.assert_array_equal(result[doubled], x * 2)
        assert result[last].tolist() == [[x.shape[1]]]
        if "width" in result:
            assert result["width"].tolist() == [[x.shape[1]]]


def test_one_execution_takes_ragged_requests_together(infer: Infer, server: Server) -> None:
    def executions() -> int:
        with triton.InferenceServerClient(server.grpc) as client:
            return int(client.get_inference_statistics("onnx_ragged").model_stats[0].execution_count)

    before = executions()
    together([lambda x=x: infer("onnx_ragged", x=x) for x in RAGGED])

    assert executions() - before < len(RAGGED)
