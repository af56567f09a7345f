"""Small ONNX models, made on the spot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Shape = Sequence[int | str | None] | None


def value(name: str, shape: Shape, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    """Describe a tensor; a shape of None leaves the rank unknown."""
    return helper.make_tensor_value_info(name, kind, shape)


def make(
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    nodes: Sequence[onnx.NodeProto],
    constants: Sequence[onnx.TensorProto] = (),
) -> onnx.ModelProto:
    """Put a model together that onnxruntime takes."""
    graph = helper.make_graph(list(nodes), "graph", list(inputs), list(outputs), list(constants))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def identity(shape: Shape = ("batch", 3), kind: int = TensorProto.FLOAT) -> onnx.ModelProto:
    """Give `x` back as `y`."""
    return make([value("x", shape, kind)], [value("y", shape, kind)], [helper.make_node("Identity", ["x"], ["y"])])


def linear(weights: NDArray[np.float32], *, listed: bool = False) -> onnx.ModelProto:
    """Multiply `x` with weights; `listed` names these among the inputs too, as old exporters do."""
    rows, columns = weights.shape
    inputs = [value("x", ("N", rows))] + ([value("w", (rows, columns))] if listed else [])
    return make(
        inputs,
        [value("y", ("N", columns))],
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        [numpy_helper.from_array(weights, "w")],
    )


def save_external(model: onnx.ModelProto, path: Path, *, location: str) -> None:
    """Save a model with all its weights in another file."""
    onnx.save_model(
        model, str(path), save_as_external_data=True, all_tensors_to_one_file=True, location=location, size_threshold=0
    )


def scaled() -> onnx.ModelProto:
    """Multiply `x` with `scale`, an input that is 2 where it isn't given."""
    return make(
        [value("x", (4,)), value("scale", (1,))],
        [value("y", (4,))],
        [helper.make_node("Mul", ["x", "scale"], ["y"])],
        [numpy_helper.from_array(np.full(1, 2, np.float32), "scale")],
    )
