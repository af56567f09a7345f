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
    ("name", "datatype", "warnings"),
    [
        ("sid", "BYTES", {"TF641": "control[0].data_type"}),
        ("sid", "UINT64", {"TF641": "control[0].data_type"}),
        ("id", "UINT64", {"TF641": "control[0].data_type", "TF686": "name"}),
    ],
)
def test_a_control_that_cannot_work_is_warned_of(
    project: Project, name: str, datatype: str, warnings: dict[str, str]
) -> None:
    """Texts fail in Triton 24.10, as numbers they may end it; a control without an input fails in NVIDIA's backend."""
    kind = {"BYTES": TensorProto.STRING, "UINT64": TensorProto.UINT64}[datatype]
    infos = [helper.make_tensor_value_info(one, TensorProto.FLOAT, ["n", 1]) for one in ("x", "y")]
    given = helper.make_tensor_value_info("sid", kind, ["n", 1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [infos[0], given], infos[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    project.write({"total.onnx": model.SerializeToString(), "serving.py": SOURCE.format(name=name, datatype=datatype)})
    found = project.build().warnings
    assert {each.code: each.where.subject for each in found} == {
        code: f"total, sequence_batching.control_input[0].{field}" for code, field in warnings.items()
    }
    assert {each.where.line for each in found} == {5}
