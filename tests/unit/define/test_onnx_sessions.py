"""Sessions of graphs that are run here: what goes wrong is raised, and written nowhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tritonforge.define.onnx_sessions import open_session


def test_a_run_that_fails_writes_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "x"], ["y"])],
        "rows",
        [helper.make_tensor_value_info("x", TensorProto.INT64, ["batch"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2])],
        [helper.make_tensor("table", TensorProto.FLOAT, [3, 2], range(6))],
    )
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    for model in (path, path.read_bytes()):
        session = open_session(model)
        assert session.run(None, {"x": np.array([2])})[0].tolist() == [[4, 5]]
        with pytest.raises(Exception, match="out of data bounds"):
            session.run(None, {"x": np.array([3])})
    with pytest.raises(Exception, match="INVALID_PROTOBUF"):
        open_session(b"none")
    assert capfd.readouterr() == ("", "")
