"""States and controls of a sequence batcher, held against the graph that takes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tritonforge.check import check_repository

CONFIG = """\
backend: "onnxruntime"
max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [ 1 ] }
output { name: "y" data_type: TYPE_FP32 dims: [ 1 ] }
sequence_batching {
  control_input {
    name: "start"
    control { kind: CONTROL_SEQUENCE_START fp32_false_true: [ 0, 1 ] }
  }
  state {
    input_name: "before"
    output_name: "after"
    data_type: TYPE_FP32
    dims: [ 1 ]
    initial_state { name: "i" data_type: TYPE_FP32 dims: [ 1 ] zero_data: true }
  }
}
"""
STATE, CONTROL = "sequence_batching.state[0].", "sequence_batching.control_input[0]."
MORE = 'control_input { name: "end" control { kind: CONTROL_SEQUENCE_END fp32_false_true: [ 0, 1 ] } }'


def write(
    repository: Path, config: str, start: list[int | str] | None = None, *, initialized: Sequence[str] = ()
) -> None:
    """Write a model that adds what it is given; `start` are the dimensions of its control."""
    shapes = {"x": None, "start": start, "before": None, "y": None, "after": None}
    infos = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape or ["n", 1]) for name, shape in shapes.items()
    ]
    nodes = [helper.make_node("Sum", ["x", "start", "before"], ["y"]), helper.make_node("Identity", ["y"], ["after"])]
    folder = repository / "m" / "1"
    folder.mkdir(parents=True)
    values = [numpy_helper.from_array(np.zeros((1, 1), np.float32), name) for name in initialized]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", infos[:3], infos[3:], values)), folder / "model.onnx")
    (repository / "m" / "config.pbtxt").write_text(config)


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "message", "hint"),
    [
        ('"before"', '"befor"', 11, f"{STATE}input_name", 'the graph has no input "befor"', 'did you mean "before"?'),
        ('"before"', '"q"', 11, f"{STATE}input_name", 'the graph has no input "q"', 'did you mean "before"?'),
        ('"after"', '"aftr"', 12, f"{STATE}output_name", 'the graph has no output "aftr"', 'did you mean "after"?'),
        ('"after"', '"q"', 12, f"{STATE}output_name", 'the graph has no output "q"', "its outputs are after, y"),
        (
            'input_name: "before"\n    output_name: "after"',
            'input_name: "after"\n    output_name: "before"',
            11,
            f"{STATE}input_name",
            '"after" is an output of the graph, and "before" an input',
            "swap input_name and output_name",
        ),
        (
            "    data_type: TYPE_FP32\n",
            "    data_type: TYPE_INT32\n",
            13,
            f"{STATE}data_type",
            'input "before" of a state is TYPE_INT32 here, and TYPE_FP32 in the graph',
            "data_type: TYPE_FP32",
        ),
        (
            "    dims: [ 1 ]\n",
            "    dims: [ 3 ]\n",
            14,
            f"{STATE}dims",
            'input "before" of a state is [-1, 3] here with the batch, and [-1, 1] in the graph',
            "dims: [1]",
        ),
        ('"start"', '"strt"', 7, f"{CONTROL}name", 'the graph has no input "strt"', 'did you mean "start"?'),
        (
            "fp32_false_true",
            "int32_false_true",
            8,
            f"{CONTROL}control[0].int32_false_true",
            'control input "start" is TYPE_INT32 here, and TYPE_FP32 in the graph',
            "fp32_false_true instead",
        ),
        (
            "START fp32_false_true: [ 0, 1 ]",
            "CORRID data_type: TYPE_UINT64",
            8,
            f"{CONTROL}control[0].data_type",
            'control input "start" is TYPE_UINT64 here, and TYPE_FP32 in the graph',
            "data_type: TYPE_FP32",
        ),
    ],
)
def test_a_mistake_is_told_once_at_its_line(
    old: str, new: str, line: int, field: str, message: str, hint: str, tmp_path: Path
) -> None:
    """Nothing is said that only follows: of an input that the misspelt name leaves out, or of an initial value."""
    assert CONFIG.count(old) == 1
    write(tmp_path, CONFIG.replace(old, new))
    (found,) = [found for found in check_repository(tmp_path, cores=8).findings if found.code != "TF641"]
    assert (found.code, found.severity, found.line, found.field) == ("TF686", "error", line, field)
    assert (found.message, found.hint) == (message, hint)


def test_a_control_has_one_value_a_row(tmp_path: Path) -> None:
    write(tmp_path, CONFIG, start=["n", 2])
    (found,) = check_repository(tmp_path, cores=8).findings
    assert (found.line, found.severity) == (7, "error")
    assert found.message == 'control input "start" is [-1, 1] here with the batch, and [-1, 2] in the graph'


def test_a_control_that_the_graph_has_not_is_warned_of(tmp_path: Path) -> None:
    """The embedded server gives the graph none; NVIDIA's backend refuses the model."""
    write(tmp_path, CONFIG.replace("  state {", f"  {MORE}\n  state {{"))
    (found,) = check_repository(tmp_path, cores=8).findings
    assert (found.line, found.severity) == (10, "warning")
    assert found.message == 'the graph has no input "end" for this control: NVIDIA\'s backend refuses that'


def test_a_control_of_an_input_with_an_initializer_is_none_of_the_graphs(tmp_path: Path) -> None:
    """Neither runner gives it one; a state may have an initializer."""
    write(tmp_path, CONFIG, initialized=["start", "before"])
    (found,) = check_repository(tmp_path, cores=8).findings
    assert (found.line, found.severity) == (7, "warning")
    assert found.message == 'the graph has no input "start" for this control: NVIDIA\'s backend refuses that'


def test_an_input_that_nothing_gives_may_be_a_state(tmp_path: Path) -> None:
    write(tmp_path, CONFIG[: CONFIG.index("  state {")] + "}\n")
    (found,) = check_repository(tmp_path, cores=8).findings
    assert (found.line, found.message) == (3, 'the graph needs the input "before", FP32[n, 1]')
    assert found.hint == "add it, or say which state or control it is"
