"""What a build warns of in the sequences of an ONNX graph."""

from __future__ import annotations

import pytest
from onnx import TensorProto, helper
from projects import Project

SOURCE = """
from tritonforge import Control, ControlInput, SequenceBatching, onnx

ID = ControlInput(name="{name}", controls=[Control(kind="corrid", data_type="{datatype}")])
total = onnx("total.onnx", sequence_batching=SequenceBatching(control_inputs=[ID]))
"""


@pytest.mark.parametrize(
    ("name", "datatype", "code", "field"),
    [
        ("sid", "BYTES", "TF641", "control[0].data_type"),
        ("id", "UINT64", "TF686", "name"),
    ],
)
def test_a_control_that_cannot_work_is_warned_of(
    project: Project, name: str, datatype: str, code: str, field: str
) -> None:
    """Such ids fail in Triton 24.10, and a control that the graph has no input for in NVIDIA's backend."""
    kind = {"BYTES": TensorProto.STRING, "UINT64": TensorProto.UINT64}[datatype]
    infos = [helper.make_tensor_value_info(one, TensorProto.FLOAT, ["n", 1]) for one in ("x", "y")]
    given = helper.make_tensor_value_info("sid", kind, ["n", 1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [infos[0], given], infos[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    project.write({"total.onnx": model.SerializeToString(), "serving.py": SOURCE.format(name=name, datatype=datatype)})
    (found,) = project.build().warnings
    assert (found.code, found.where.line) == (code, 5)
    assert found.where.subject == f"total, sequence_batching.control_input[0].{field}"
