"""ONNX files that are carried as they are: what is declared of them is held against the graph."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper
from projects import Project

SOURCE = """
from tritonforge import Tensor, model_files

double = model_files(
    "double",
    backend="onnxruntime",
    max_batch_size=8,
    inputs={{"x": Tensor(data_type="FP32", dims=(4,))}},
    outputs={{"{output}": Tensor(data_type="FP32", dims=({size},))}},
)
"""


def write(project: Project, output: str, size: int) -> None:
    infos = [helper.make_tensor_value_info(one, TensorProto.FLOAT, ["n", 4]) for one in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "g", infos[:1], infos[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (project.root / "double" / "1").mkdir(parents=True)
    onnx.save(model, str(project.root / "double" / "1" / "model.onnx"))
    project.write({"serving.py": SOURCE.format(output=output, size=size)})


def test_a_shape_that_the_graph_has_not_is_refused_at_its_definition(project: Project) -> None:
    write(project, "y", 5)
    told = project.refused()
    assert told.startswith("serving.py:4 double")
    assert "[TF686]" in told


def test_a_name_that_the_graph_has_not_is_refused(project: Project) -> None:
    write(project, "z", 4)
    assert 'the graph has no output "z"' in project.refused()


def test_what_is_declared_as_it_is_passes(project: Project) -> None:
    write(project, "y", 4)
    assert not project.build().warnings
