"""States and controls held against an ONNX graph: what the runner of such files checks when it loads one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tritonforge.check.finding import Found, error, warning
from tritonforge.check.model import Model
from tritonforge.check.onnx_names import no_such
from tritonforge.check.onnx_tensors import compare_dims, compare_type
from tritonforge.pbtxt.document import enum_name

if TYPE_CHECKING:
    from tritonforge.define.onnx_graph import OnnxGraph, OnnxTensor

__all__ = ["compare_sequence", "names_tensors", "sequence_inputs", "swapped"]

_VALUES = {"int32_false_true": "TYPE_INT32", "fp32_false_true": "TYPE_FP32", "bool_false_true": "TYPE_BOOL"}
_BATCHER = "sequence_batching"


@dataclass(frozen=True, slots=True)
class _Control:
    """One thing that a control input says: its place, and the tensor's type; `values` is the field that tells it."""

    path: str
    datatype: str
    values: str


def names_tensors(config: Any) -> bool:
    """Say whether the sequence batcher gives the model tensors of its own."""
    batcher = config.sequence_batching
    return bool(batcher.state or batcher.control_input)


def sequence_inputs(config: Any) -> list[str]:
    """Name the inputs that the sequence batcher gives."""
    batcher = config.sequence_batching
    return [*(control.name for control in batcher.control_input), *(state.input_name for state in batcher.state)]


def swapped(config: Any, graph: OnnxGraph) -> set[str]:
    """Name the inputs of the graph that states have for their outputs, and the other way round."""
    inputs, outputs = {tensor.name for tensor in graph.inputs}, {tensor.name for tensor in graph.outputs}
    return {
        name
        for state in config.sequence_batching.state
        if state.input_name in outputs - inputs and state.output_name in inputs - outputs
        for name in (state.input_name, state.output_name)
    }


def compare_sequence(model: Model, graph: OnnxGraph, meant: Mapping[str, str]) -> Iterator[Found]:
    """Hold states and controls against the graph; `meant` says which of its inputs unknown names stand for."""
    inputs = {tensor.name: tensor for tensor in (*graph.inputs, *graph.initialized)}
    outputs = {tensor.name: tensor for tensor in graph.outputs}
    changed = swapped(model.config, graph)
    for number, state in enumerate(model.config.sequence_batching.state):
        path = f"{_BATCHER}.state[{number}]"
        if state.input_name in changed:
            message = f'"{state.input_name}" is an output of the graph, and "{state.output_name}" an input'
            yield error("TF686", f"{path}.input_name", message, "swap input_name and output_name")
            continue
        yield from _compare_state(model, path, state, inputs, outputs, meant)
    needed = {tensor.name: tensor for tensor in graph.inputs}  # no runtime gives a control to what has an initializer
    for number, entry in enumerate(model.config.sequence_batching.control_input):
        yield from _compare_control(model, f"{_BATCHER}.control_input[{number}]", entry, needed, meant)


def _compare_state(
    model: Model,
    path: str,
    state: Any,
    inputs: Mapping[str, OnnxTensor],
    outputs: Mapping[str, OnnxTensor],
    meant: Mapping[str, str],
) -> Iterator[Found]:
    told: set[str] = set()  # both tensors of a state disagree where its one field is wrong
    for kind, name, known in (("input", state.input_name, inputs), ("output", state.output_name, outputs)):
        node = known.get(name)
        if node is None:
            yield no_such(f"{path}.{kind}_name", kind, name, list(known), meant if kind == "input" else {})
            continue
        subject = f'{kind} "{name}" of a state'
        found = (
            *compare_type(f"{path}.data_type", subject, enum_name(state, "data_type"), node),
            *compare_dims(f"{path}.dims", subject, list(state.dims), node, batched=model.batched),
        )
        yield from (each for each in found if each.field not in told)
        told |= {each.field for each in found}


def _compare_control(
    model: Model, path: str, entry: Any, inputs: Mapping[str, OnnxTensor], meant: Mapping[str, str]
) -> Iterator[Found]:
    node = inputs.get(entry.name)
    if node is None:
        found = no_such(f"{path}.name", "input", entry.name, list(inputs), meant)
        if entry.name in meant:
            yield found
            return
        message = f"{found.message} for this control: NVIDIA's backend refuses that"
        yield warning("TF686", found.field, message, found.hint if "did you mean" in found.hint else "leave it out")
        return
    subject = f'control input "{entry.name}"'
    for each in map(_read, (f"{path}.control[{number}]" for number in range(len(entry.control))), entry.control):
        for fault in compare_type(each.path, subject, each.datatype, node):
            yield error("TF686", each.path, fault.message, _mend(each, fault.hint))
            return
    yield from compare_dims(f"{path}.name", subject, [1], node, batched=model.batched, hint="export it with one value")


def _read(path: str, control: Any) -> _Control:
    values = next((name for name in _VALUES if len(getattr(control, name))), "")
    if values:
        return _Control(f"{path}.{values}", _VALUES[values], values)
    # A type that isn't told is UINT64 to the batcher.
    datatype = enum_name(control, "data_type")
    return _Control(f"{path}.data_type", "TYPE_UINT64" if datatype == "TYPE_INVALID" else datatype, "")


def _mend(control: _Control, hint: str) -> str:
    if not control.values:
        return hint
    wanted = hint.removeprefix("data_type: ")
    field = next((name for name, datatype in _VALUES.items() if datatype == wanted), "")
    return f"{field} instead" if field else "export the graph with INT32, FP32 or BOOL there"
