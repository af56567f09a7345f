"""Graphs with implicit state, which the stand-in for the native backend keeps, on the real server."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from tritonforge.client import Client, ClientError
from tritonforge.server import Server

BATCHED = {"oldest": "oldest { max_candidate_sequences: 32 }", "direct": "direct { }"}
CONTROLS = """
control_input [{ name: "READY" control [{ kind: CONTROL_SEQUENCE_READY int32_false_true: [0, 1] }] }]
max_sequence_idle_microseconds: 30000000
"""
THREADS = {"onnxruntime": "intra_op_thread_count", "pytorch": "INTRA_OP_THREAD_COUNT"}
FILE = 'initial_state: { name: "first" data_type: TYPE_FP32 dims: [2] data_file: "hundred" }'
ZEROS = 'initial_state: { name: "zeros" data_type: TYPE_FP32 dims: [2] zero_data: true }'


def write_onnx(version: Path, dims: list[Any]) -> None:
    x, before, y, after = (
        helper.make_tensor_value_info(each, TensorProto.FLOAT, dims) for each in ("x", "before", "y", "after")
    )
    nodes = [helper.make_node("Add", ["x", "before"], ["y"]), helper.make_node("Identity", ["y"], ["after"])]
    graph = helper.make_graph(nodes, "total", [x, before], [y, after])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), version / "model.onnx"
    )


def write_torch(version: Path, _dims: list[Any]) -> None:
    class Total(torch.nn.Module):
        def forward(self, x: torch.Tensor, before: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x + before, x + before

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript's own
        torch.jit.script(Total()).save(str(version / "model.pt"))


def write(
    repository: Path,
    name: str,
    strategy: str,
    *,
    rows: int,
    initial: str = "",
    answered: bool = False,
    backend: str = "onnxruntime",
) -> None:
    """Write a model whose output is its input and state together; its next state is that, too."""
    folder = repository / name
    (folder / "1").mkdir(parents=True)
    (write_torch if backend == "pytorch" else write_onnx)(folder / "1", ["batch", 2] if rows else [2])
    if "hundred" in initial:
        (folder / "initial_state").mkdir()
        (folder / "initial_state" / "hundred").write_bytes(np.full(2, 100, np.float32).tobytes())
    outputs = ["y", "after"] if answered else ["y"]
    declared = ", ".join(f'{{ name: "{each}" data_type: TYPE_FP32 dims: [2] }}' for each in outputs)
    (folder / "config.pbtxt").write_text(
        f"""backend: "{backend}" max_batch_size: {rows}
        input [{{ name: "x" data_type: TYPE_FP32 dims: [2] }}] output [{declared}]
        sequence_batching {{ {strategy} {CONTROLS}
          state [{{ input_name: "before" output_name: "after" data_type: TYPE_FP32 dims: [2] {initial} }}] }}
        parameters [{{ key: "{THREADS[backend]}" value: {{ string_value: "1" }} }}]
        instance_group [{{ kind: KIND_CPU count: 1 }}]"""
    )


def write_controlled(repository: Path, name: str, strategy: str, *, rows: int, stateful: bool) -> None:
    """Write a model whose graph has Triton's controls among its inputs: it adds the sequence's id at its start."""
    version = repository / name / "1"
    version.mkdir(parents=True)
    batch = ["batch"] if rows else []
    tensors = {"x": ("FLOAT", 2), "START": ("FLOAT", 1), "READY": ("INT32", 1), "ID": ("INT64", 1)}
    tensors |= {"before": ("FLOAT", 2)} if stateful else {}
    given = [
        helper.make_tensor_value_info(each, getattr(TensorProto, kind), [*batch, size])
        for each, (kind, size) in tensors.items()
    ]
    made = [helper.make_tensor_value_info(each, TensorProto.FLOAT, [*batch, 2]) for each in ("y", "after")]
    nodes = [
        helper.make_node("Cast", ["ID"], ["id"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["START", "id"], ["first"]),
        helper.make_node("Add", ["x", "first"], ["sum"]),
        helper.make_node(*(("Add", ["sum", "before"], ["y"]) if stateful else ("Identity", ["sum"], ["y"]))),
        helper.make_node("Identity", ["y"], ["after"]),
    ]
    graph = helper.make_graph(nodes, "controlled", given, made)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), version / "model.onnx"
    )
    state = 'state [{ input_name: "before" output_name: "after" data_type: TYPE_FP32 dims: [2] }]' if stateful else ""
    (repository / name / "config.pbtxt").write_text(
        f"""backend: "onnxruntime" max_batch_size: {rows}
        input [{{ name: "x" data_type: TYPE_FP32 dims: [2] }}] output [{{ name: "y" data_type: TYPE_FP32 dims: [2] }}]
        sequence_batching {{ {strategy} {state} control_input [
          {{ name: "START" control [{{ kind: CONTROL_SEQUENCE_START fp32_false_true: [0, 1] }}] }},
          {{ name: "READY" control [{{ kind: CONTROL_SEQUENCE_READY int32_false_true: [0, 1] }}] }},
          {{ name: "ID" control [{{ kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_INT64 }}] }}] }}
        parameters [{{ key: "intra_op_thread_count" value: {{ string_value: "1" }} }}]
        instance_group [{{ kind: KIND_CPU count: 1 }}]"""
    )


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    repository = tmp_path_factory.mktemp("implicit") / "model_repository"
    for name, strategy in BATCHED.items():
        write(repository, name, strategy, rows=32)
    write(repository, "file", BATCHED["oldest"], rows=8, initial=FILE, answered=True)
    write(repository, "zeros", BATCHED["direct"], rows=8, initial=ZEROS)
    write(repository, "torch", BATCHED["oldest"], rows=8, initial=FILE, backend="pytorch")
    write(repository, "single", BATCHED["oldest"], rows=0, initial=FILE)
    write_controlled(repository, "controlled", BATCHED["direct"], rows=8, stateful=True)
    write_controlled(repository, "single_controlled", BATCHED["oldest"], rows=0, stateful=True)
    write_controlled(repository, "stateless", BATCHED["oldest"], rows=8, stateful=False)
    with (
        Server.embedded(repository, http_port=0, grpc_port=0, metrics_port=0, exit_timeout_s=0) as running,
        Client(running.grpc_url) as connected,
    ):
        yield connected


def ask(
    client: Client, model: str, value: float, identity: int | str, *, start: bool = False, end: bool = False
) -> Any:
    """Send one value of a sequence, twice in a row."""
    x = np.full((2,) if model.startswith("single") else (1, 2), value, np.float32)
    return client.infer(model, x=x, sequence_id=identity, sequence_start=start, sequence_end=end)


def totals(client: Client, model: str, identity: int | str, values: list[float], *, end: bool = True) -> list[float]:
    """Send a whole sequence, and give what was answered."""
    last = len(values) - 1
    answers = [
        ask(client, model, value, identity, start=place == 0, end=end and place == last)
        for place, value in enumerate(values)
    ]
    assert all(answer.y.ravel()[0] == answer.y.ravel()[1] for answer in answers)
    return [float(answer.y.ravel()[0]) for answer in answers]


@pytest.mark.parametrize("strategy", sorted(BATCHED))
def test_interleaved_sequences_have_states_of_their_own(client: Client, strategy: str) -> None:
    identities: list[int | str] = [*range(1, 11), *(f"sequence-{number}" for number in range(10))]
    values = [[float(place * 100 + step) for step in range(8)] for place in range(len(identities))]

    with ThreadPoolExecutor(len(identities)) as pool:
        answers = list(pool.map(lambda each: totals(client, strategy, *each), zip(identities, values, strict=True)))

    assert answers == [np.cumsum(each).tolist() for each in values]


@pytest.mark.parametrize("strategy", sorted(BATCHED))
def test_an_id_that_is_used_again_starts_anew(client: Client, strategy: str) -> None:
    assert totals(client, strategy, 77, [1, 2, 3]) == [1, 3, 6]
    with pytest.raises(ClientError):
        ask(client, strategy, 1, 77)
    assert totals(client, strategy, 77, [10, 2], end=False) == [10, 12]
    assert totals(client, strategy, 77, [5, 5]) == [5, 10]


@pytest.mark.parametrize(("model", "first"), [("file", 100), ("zeros", 0), ("single", 100), ("torch", 100)])
def test_a_sequence_starts_with_the_initial_state(client: Client, model: str, first: float) -> None:
    for identity in (1, "a"):
        assert totals(client, model, identity, [1, 2, 3]) == [first + 1, first + 3, first + 6]


def test_a_state_that_is_an_output_is_answered(client: Client) -> None:
    ask(client, "file", 1, 5, start=True)

    answer = ask(client, "file", 2, 5, end=True)

    np.testing.assert_array_equal(answer.after, [[103, 103]])


@pytest.mark.parametrize(
    ("model", "wanted"), [("controlled", [8, 10, 13]), ("single_controlled", [8, 10, 13]), ("stateless", [8, 2, 3])]
)
def test_controls_that_a_graph_takes_reach_it(client: Client, model: str, wanted: list[float]) -> None:
    assert totals(client, model, 7, [1, 2, 3]) == wanted
