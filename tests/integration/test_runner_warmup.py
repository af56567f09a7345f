"""Warm-up of ONNX and TorchScript models by the backends that stand in for native ones."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper

from tritonforge.client import Client
from tritonforge.server import Server


def write_onnx(file: Path, last: int) -> None:
    """Write a graph that takes the rows of a table; it fails past its end."""
    table = helper.make_tensor("table", TensorProto.FLOAT, [last + 1], [float(row) for row in range(last + 1)])
    x = helper.make_tensor_value_info("x", TensorProto.INT64, ["batch", 1])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 1])
    graph = helper.make_graph([helper.make_node("Gather", ["table", "x"], ["y"])], "table", [x], [y], [table])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), file)


def write_torch(file: Path, last: int) -> None:
    """Write a module that does the same."""

    class Table(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = torch.arange(last + 1, dtype=torch.float32)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.table[x]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript's own
        torch.jit.script(Table()).save(str(file))


BACKENDS = {"onnxruntime": ("model.onnx", write_onnx), "pytorch": ("model.pt", write_torch)}


def write(repository: Path, name: str, last: int) -> None:
    for backend, (file, write_file) in BACKENDS.items():
        folder = repository / f"{name}_{backend}"
        (folder / "1").mkdir(parents=True)
        write_file(folder / "1" / file, last)
        (folder / "config.pbtxt").write_text(
            f"""backend: "{backend}" max_batch_size: 4
            input [{{ name: "x" data_type: TYPE_INT64 dims: [1] }}]
            output [{{ name: "y" data_type: TYPE_FP32 dims: [1] }}]
            instance_group [{{ kind: KIND_CPU count: 1 }}]
            model_warmup [{{ name: "zeros" batch_size: 2 count: 2 inputs {{ key: "x"
              value {{ data_type: TYPE_INT64 dims: [1] zero_data: true }} }} }}]"""
        )


def test_a_model_is_warmed_up_before_it_is_served(tmp_path: Path) -> None:
    write(tmp_path, "warmed", 2)
    with (
        Server.embedded(tmp_path, log_verbose=1, http_port=0, grpc_port=0, metrics_port=0) as server,
        Client(server.grpc_url) as client,
    ):
        log = server.log_text()
        for backend in BACKENDS:
            assert re.search(f"warmed_{backend}.*running warmup sample 'zeros'", log)
            assert client.infer(f"warmed_{backend}", x=np.array([[1], [2]])).y.tolist() == [[1], [2]]
    assert "request failed" not in log, "what the runtime says of a warm-up that raises"
