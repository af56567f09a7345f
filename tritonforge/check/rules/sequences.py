"""Sequence batching: control inputs and strategies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tritonforge.check.finding import Found, error, warning
from tritonforge.check.model import Model
from tritonforge.check.rules.dynamic_batching import check_preferred_sizes
from tritonforge.pbtxt.document import enum_name

__all__ = ["check_sequence_batching"]

_CORRID = "CONTROL_SEQUENCE_CORRID"
_BOOLEANS = ("CONTROL_SEQUENCE_START", "CONTROL_SEQUENCE_END", "CONTROL_SEQUENCE_READY")
_VALUES = ("int32_false_true", "fp32_false_true", "bool_false_true")
_ASKED = "the Python backend needs no such input: request.correlation_id()"
_CORRID_TYPES = ("TYPE_UINT64", "TYPE_INT64", "TYPE_UINT32", "TYPE_INT32", "TYPE_STRING")


def check_sequence_batching(model: Model) -> Iterator[Found]:
    """Check controls and strategy of the sequence batcher."""
    if not model.config.HasField("sequence_batching"):
        return
    batcher = model.config.sequence_batching
    yield from _check_controls(batcher)
    if batcher.HasField("oldest"):
        path = "sequence_batching.oldest"
        yield from check_preferred_sizes("TF642", path, batcher.oldest.preferred_batch_size, model)
    if batcher.HasField("direct"):
        share = batcher.direct.minimum_slot_utilization
        if not 0.0 <= share <= 1.0:
            message = f"minimum_slot_utilization is {share:g}; it is a share, from 0 to 1"
            yield error("TF643", "sequence_batching.direct.minimum_slot_utilization", message, "0.5 waits for half")
        if model.config.max_batch_size > 1:
            yield from _check_strings(model.config.input)


def _check_strings(inputs: Sequence[Any]) -> Iterator[Found]:
    """Look for strings that leave a slot empty: one without a request gets another's largest input (Triton 24.10).

    How large a string is goes by its shape, and none and a scalar count as nothing. Where all do, Triton ends.
    """
    for number, tensor in enumerate(inputs):
        if enum_name(tensor, "data_type") == "TYPE_STRING" and tensor.HasField("reshape") and not tensor.reshape.shape:
            message = (
                f'input "{tensor.name}" is a string reshaped to nothing: with the strategy direct, Triton 24.10 fails '
                "or ends when a slot has no request"
            )
            hint = 'leave the reshape out (in a definition: "batch 1", not "batch"), or take the strategy oldest'
            yield error("TF647", f"input[{number}].reshape", message, hint)
            return
    if inputs and all(map(_may_be_empty, inputs)):
        names = ", ".join(tensor.name for tensor in inputs)
        message = f"Triton 24.10 ends on a request without any value in {names} when a slot has no request"
        hint = "give one input fixed dims, or take the strategy oldest"
        yield warning("TF647", "sequence_batching.direct", message, hint)


def _may_be_empty(tensor: Any) -> bool:
    return tensor.optional or (enum_name(tensor, "data_type") == "TYPE_STRING" and -1 in tensor.dims)


def _check_controls(batcher: Any) -> Iterator[Found]:
    names: set[str] = set()
    kinds: set[str] = set()
    for number, tensor in enumerate(batcher.control_input):
        path = f"sequence_batching.control_input[{number}]"
        if not tensor.name:
            yield error("TF640", f"{path}.name", "a control input has no name", "the name of the model's input")
        elif tensor.name in names:
            message = f'the control input "{tensor.name}" is there twice'
            yield error("TF640", f"{path}.name", message, "give each control a tensor of its own")
        names.add(tensor.name)
        for index, control in enumerate(tensor.control):
            kind, place = enum_name(control, "kind"), f"{path}.control[{index}]"
            if kind in kinds:
                yield error("TF640", f"{place}.kind", f"two tensors carry {kind}", "keep one")
            kinds.add(kind)
            yield from _check_corrid(place, control) if kind == _CORRID else _check_boolean(place, kind, control)


def _check_boolean(path: str, kind: str, control: Any) -> Iterator[Found]:
    if kind not in _BOOLEANS:
        return
    given = [name for name in _VALUES if len(getattr(control, name))]
    if not given:
        message = f"{kind} doesn't say its two values"
        yield error("TF640", path, message, "fp32_false_true: [ 0, 1 ], or the int32 or bool form")
    elif len(given) > 1:
        yield error("TF640", f"{path}.{given[1]}", f"{kind} has its values twice: {', '.join(given)}", "keep one")
    elif len(getattr(control, given[0])) != 2:
        count = len(getattr(control, given[0]))
        message = f"{kind} has {count} value{'s'[: count != 1]}; {given[0]} is two: for no and for yes"
        yield error("TF640", f"{path}.{given[0]}", message, f"{given[0]}: [ 0, 1 ]")


def _check_corrid(path: str, control: Any) -> Iterator[Found]:
    given = [name for name in _VALUES if len(getattr(control, name))]
    if given:
        message = f"{_CORRID} carries the sequence's own id, and no {given[0]}"
        yield error("TF641", f"{path}.{given[0]}", message, "data_type: TYPE_UINT64 instead")
    elif enum_name(control, "data_type") == "TYPE_STRING":
        message = f"Triton 24.10 refuses every request where {_CORRID} is TYPE_STRING"
        yield warning(
            "TF641", f"{path}.data_type", message, f"data_type: TYPE_UINT64, and ids that are numbers; {_ASKED}"
        )
    elif enum_name(control, "data_type") in _CORRID_TYPES:
        message = "Triton 24.10 may crash on an id that is a text: it writes it into this number, and past its end"
        yield warning("TF641", f"{path}.data_type", message, f"let callers' ids be numbers; {_ASKED}")
    else:
        message = f"{_CORRID} is one of {', '.join(_CORRID_TYPES)}; found {enum_name(control, 'data_type')}"
        yield error("TF641", f"{path}.data_type", message, "data_type: TYPE_UINT64")
