"""ONNX graphs that run inside a fused pipeline: they keep the settings of ONNX Runtime that they have."""

from __future__ import annotations

import ast

import onnx
import pytest
from onnx import TensorProto, helper
from projects import Project

DEFINITIONS = """
import numpy as np
from jaxtyping import Float32

from tritonforge import Optimization, onnx, pipeline

graph = onnx("graph.onnx", {settings})


@pipeline(lowering="fused")
def whole(x: Float32[np.ndarray, "batch 4"]) -> Float32[np.ndarray, "batch 4"]:
    return graph(x)
"""


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("", {}),
        ('parameters={"intra_op_thread_count": 3}', {"parameters": {"intra_op_thread_count": "3"}}),
        ('parameters={"enable_mem_arena": False}', {"parameters": {"enable_mem_arena": "false"}}),
        ("optimization=Optimization(graph_level=1)", {"level": 1}),
    ],
)
def test_the_shim_says_how_a_graph_is_to_run(project: Project, settings: str, expected: dict[str, object]) -> None:
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ("N", 4)) for name in "xy"]
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", tensors[:1], tensors[1:])), project.root / "graph.onnx")
    project.write({"serving.py": DEFINITIONS.format(settings=settings)})
    project.build()

    (part,) = (
        node
        for node in ast.walk(ast.parse(project.shim("whole")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "PartSpec"
    )
    given = {word.arg: word.value for word in part.keywords if word.arg in ("parameters", "level")}
    assert {name: ast.literal_eval(value) for name, value in given.items()} == expected
