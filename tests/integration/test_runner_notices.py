"""What the stand-ins for native backends say in the server's log, once for each model, of what is different there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import runtime_torch
from life_support import PORTS, CommandLine
from onnx import TensorProto, helper
from repositories import until

from tritonforge.client import Client
from tritonforge.server import Server

TENSORS = """max_batch_size: 4 input [{ name: "x" data_type: TYPE_FP32 dims: [2] }]
output [{ name: "double" data_type: TYPE_FP32 dims: [2] }] instance_group [{ kind: KIND_CPU count: 2 }]"""
ONNX = """
parameters { key: "intra_op_threads" value: { string_value: "2" } }
parameters { key: "share_session_between_instances" value: { string_value: "true" } }
parameters { key: "gpu_mem_limit" value: { string_value: "1000" } }
optimization { graph { level: 2 } execution_accelerators {
  gpu_execution_accelerator { name: "tensorrt" parameters { key: "precision_mode" value: "FP16" } }
  cpu_execution_accelerator { name: "openvino" } } }"""
TORCH = """
parameters { key: "ENABLE_NVFUSER" value: { string_value: "true" } }
parameters { key: "ENABLE_WEIGHT_SHARING" value: { string_value: "true" } }
parameters { key: "INTRA_OP_THREADS" value: { string_value: "1" } }"""

TOLD = {
    "told_onnx": (
        "gpu_execution_accelerator tensorrt is not used: this instance runs on the CPU",
        "execution accelerator openvino is not used: this onnxruntime has none; install onnxruntime-openvino",
        "share_session_between_instances does nothing: each instance is a process here, with a session of its own",
        "parameter intra_op_threads is none that this backend has, and does nothing; did you mean "
        "intra_op_thread_count?",
    ),
    "told_torch": (
        "ENABLE_NVFUSER has no effect: NVFuser is no part of torch any more",
        "ENABLE_WEIGHT_SHARING has no effect: each instance is a process here, with weights of its own",
        "parameter INTRA_OP_THREADS is none that this backend has, and does nothing; did you mean "
        "INTRA_OP_THREAD_COUNT?",
        "forward returns Dict[str, Tensor], whose keys are the outputs' names; NVIDIA's backend refuses that",
    ),
    "plain_onnx": (),
}


def write_onnx(folder: Path) -> None:
    names = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2]) for name in ("x", "double")]
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["double"])], "graph", names[:1], names[1:])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), folder / "model.onnx"
    )


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A repository that somebody else has written, and the embedded server, which finds the stand-ins by itself."""
    repository = tmp_path_factory.mktemp("notices") / "model_repository"
    for name, settings in (("told_onnx", ONNX), ("told_torch", TORCH), ("plain_onnx", "")):
        version = repository / name / "1"
        version.mkdir(parents=True)
        backend = name.partition("_")[2].replace("onnx", "onnxruntime").replace("torch", "pytorch")
        (repository / name / "config.pbtxt").write_text(f'backend: "{backend}" {TENSORS} {settings}')
        if backend == "pytorch":
            runtime_torch.save(runtime_torch.Dictionary(), version)
        else:
            write_onnx(version)
    with Server.embedded(repository, http_port=0, grpc_port=0, metrics_port=0, exit_timeout_s=0) as server:
        yield server


def told(server: Server, model: str) -> list[str]:
    """What the log says of a model; it may come a little later than the model is ready."""

    def lines() -> list[str]:
        return sorted(re.findall(rf'^W.*\] "{model}: (.*)"$', server.log_text(), re.MULTILINE))

    until(lambda: len(lines()) >= len(TOLD[model]), f"all that {model} has to say")
    return lines()


@pytest.mark.parametrize("model", TOLD)
def test_the_log_says_once_what_is_without_effect(served: Server, model: str) -> None:
    """With several instances, too; and nothing of a model that is the same natively."""
    assert told(served, model) == sorted(TOLD[model])


@pytest.mark.parametrize("model", TOLD)
def test_the_model_is_served_all_the_same(served: Server, model: str) -> None:
    x = np.array([[1, 2]], np.float32)
    with Client(served.grpc_url) as client:
        np.testing.assert_array_equal(client.infer(model, x=x).double, x * 2)


def test_a_module_called_model_on_pythonpath_is_not_taken_for_the_backend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Triton imports a Python-based backend as `model`, from the end of `sys.path`."""
    version = tmp_path / "repository" / "plain_onnx" / "1"
    version.mkdir(parents=True)
    write_onnx(version)
    (version.parent / "config.pbtxt").write_text(f'backend: "onnxruntime" {TENSORS}')
    (tmp_path / "model.py").write_text("raise ImportError('this is the model.py of a user')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Server.embedded(tmp_path / "repository", http_port=0, grpc_port=0, metrics_port=0, exit_timeout_s=0) as server:
        assert [state.state for state in server.models()] == ["READY"]


def test_up_prints_them_at_the_start_and_reload_those_of_its_model(served: Server, tmp_path: Path) -> None:
    """In the background, too; each once, though two instances load."""
    line = CommandLine(tmp_path / "state", tmp_path)
    said = line.run("up", str(served.repository), "--detach", "--name", "told", *PORTS).splitlines()
    try:
        warned = sorted(one for one in said if one.startswith("warning: "))
        assert warned == sorted(f"warning: {model}: {text}" for model, texts in TOLD.items() for text in texts)
        assert said[-1] == "ready"
        again = line.run("reload", "told_torch", "--name", "told").splitlines()
        assert again[0].startswith("told_torch 1 reloaded in ")
        assert sorted(again[1:]) == sorted(f"warning: told_torch: {text}" for text in TOLD["told_torch"])
    finally:
        line.run("down", "told", "--kill")
