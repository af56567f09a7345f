"""An ONNX graph whose state is declared in Python, built and served: its states are no tensors of its clients'."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tritonforge.build import build
from tritonforge.client import Client, InvalidRequest
from tritonforge.server import Server

SERVING = """
from tritonforge import Batching, InitialState, SequenceBatching, State, onnx

ZERO = InitialState(name="zero", data_type="FP32", dims=(2,), zero_data=True)
STATE = State(input_name="before", output_name="after", data_type="FP32", dims=(2,), initial_states=[ZERO])
total = onnx("total.onnx", batching=Batching(max_batch_size=4), sequence_batching=SequenceBatching(states=[STATE]))
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    x, before, y, after = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2]) for name in ("x", "before", "y", "after")
    )
    nodes = [helper.make_node("Add", ["x", "before"], ["y"]), helper.make_node("Identity", ["y"], ["after"])]
    graph = helper.make_graph(nodes, "total", [x, before], [y, after])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(made, tmp_path / "total.onnx")
    (tmp_path / "serving.py").write_text(SERVING, encoding="utf-8")
    build([tmp_path / "serving.py"], tmp_path / "repository")
    return tmp_path / "repository"


def test_a_graph_keeps_its_state_and_clients_see_none_of_it(repository: Path) -> None:
    """Nor can one call it as if it had none: the client says how."""
    ones = np.ones((1, 2), np.float32)
    with Server.embedded(repository, http_port=0, grpc_port=0, metrics_port=0) as server:
        for url in (server.http_url, server.grpc_url):
            with Client(url) as client:
                assert str(client.describe("total").signature) == "(x: FP32[batch, 2]) -> (y: FP32[batch, 2])"
                for _ in range(2):
                    with client.sequence("total") as steps:
                        sums = [steps.infer(x=ones, end=end).y[0, 0] for end in (False, False, True)]
                    assert sums == [1, 2, 3]
                with pytest.raises(InvalidRequest, match=r"client\.sequence"):
                    client.infer("total", x=ones)
                with (
                    pytest.raises(InvalidRequest, match="each request of a sequence is one row"),
                    client.sequence("total") as steps,
                ):
                    steps.infer(x=np.ones((2, 2), np.float32), end=True)
