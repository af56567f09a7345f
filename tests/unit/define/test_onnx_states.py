"""ONNX graphs whose states and controls Triton's sequence batcher gives: none of the model's inputs and outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from jaxtyping import Float32
from onnx import helper
from onnx_files import value

from tritonforge import Control, ControlInput, SequenceBatching, State
from tritonforge import onnx as onnx_model
from tritonforge.errors import DiagnosticError, TritonForgeError

BEFORE = State(input_name="before", output_name="after", data_type="FP32", dims=(2,))
START = ControlInput(name="start", controls=(Control(kind="start", fp32_false_true=(0, 1)),))
TENSOR = Float32[np.ndarray, "batch 2"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A graph that adds its input and its state."""
    given = [value("x", ("batch", 2)), value("before", ("batch", 2)), value("start", ("batch", 1))]
    made = [value("y", ("batch", 2)), value("after", ("batch", 2))]
    nodes = [
        helper.make_node("Add", ["x", "before"], ["sum"]),
        helper.make_node("Add", ["sum", "start"], ["y"]),
        helper.make_node("Identity", ["y"], ["after"]),
    ]
    graph = helper.make_graph(nodes, "total", given, made)
    file = tmp_path / "total.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), file)
    return file


@pytest.mark.parametrize(
    ("declared", "outputs"),
    [
        ({}, ["y"]),
        ({"inputs": {"x": TENSOR}}, ["y"]),
        ({"outputs": {"y": TENSOR}}, ["y"]),
        ({"outputs": {"y": TENSOR, "after": TENSOR}}, ["y", "after"]),
        ({"inputs": {"x": TENSOR}, "outputs": {"after": TENSOR}}, ["after"]),
    ],
)
def test_states_and_controls_are_no_tensors_of_the_model(
    path: Path, declared: dict[str, Any], outputs: list[str]
) -> None:
    """Only a state that is declared as an output is answered with."""
    batching = SequenceBatching(states=(BEFORE,), control_inputs=(START,))
    signature = onnx_model(path, sequence_batching=batching, **declared).signature
    assert [spec.name for spec in signature.inputs] == ["x"]
    assert [spec.name for spec in signature.outputs] == outputs
    assert (signature.batched, signature.sequence) == (True, True)


def test_a_misspelt_state_or_control_is_told_and_not_the_input_that_it_leaves_out(path: Path) -> None:
    """To declare that as an input would be no mend."""
    states = (State(input_name="befor", output_name="after", data_type="FP32", dims=(2,)),)
    controls = (ControlInput(name="strt", controls=START.controls),)
    batching = SequenceBatching(states=states, control_inputs=controls)
    total = onnx_model(path, name="total", sequence_batching=batching, inputs={"x": TENSOR})
    with pytest.raises(DiagnosticError) as failure:
        _ = total.signature
    assert [(found.where.subject, found.message, found.hint) for found in failure.value.diagnostics] == [
        ("total, sequence_batching", 'the graph has no input "befor"', 'did you mean "before"?'),
        ("total, sequence_batching", 'the graph has no input "strt"', 'did you mean "start"?'),
    ]


def test_without_sequences_all_tensors_are_the_models(path: Path) -> None:
    """Also the ones that others would call its state."""
    signature = onnx_model(path).signature
    assert [spec.name for spec in signature.inputs] == ["x", "before", "start"]
    assert not signature.sequence


def test_only_triton_can_run_it(path: Path) -> None:
    """Nobody else keeps its state."""
    total = onnx_model(
        path, name="total", sequence_batching=SequenceBatching(states=(BEFORE,), control_inputs=(START,))
    )
    with pytest.raises(TritonForgeError, match=r"total gets before, start from Triton's sequence batcher.*client\.seq"):
        total(np.ones((1, 2), np.float32))
