"""What `forward` of a TorchScript module takes and gives, and what of it NVIDIA's backend would refuse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch_names
from tritonforge_runtime import ModelSpec, TensorSpec

__all__ = ["takes_dictionary", "unlike_native"]

_NATIVE_TYPES = frozenset({"BOOL", "UINT8", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES"})
_NATIVE_ARGUMENTS = frozenset({"TensorType", "ListType"})

Argument = Any
"""torch's own, of a schema: a name, a type, perhaps a default."""


def takes_dictionary(arguments: Sequence[Argument]) -> bool:
    """Say whether `forward` takes one dictionary, which holds all inputs by name."""
    return len(arguments) == 1 and arguments[0].type.kind() == "DictType"


def unlike_native(spec: ModelSpec, module: Any) -> list[str]:
    """Say what works here, and not with NVIDIA's backend; `spec` is the model as its graph sees it."""
    schema = module.forward.schema
    arguments = schema.arguments[1:]
    found = [_of_tensor(tensor, batched=spec.batched) for tensor in (*spec.inputs, *spec.outputs)]
    if not takes_dictionary(arguments):
        found += map(_of_argument, arguments)
        if len(spec.inputs) != len(arguments):
            found.append(f"the configuration has {len(spec.inputs)} inputs, and forward takes {len(arguments)}")
    found += map(_of_result, schema.returns)
    found += [
        f"control_input {each.name} has no place in its name, as {each.name}__1"
        for each in (spec.sequence.controls if spec.sequence else ())
        if torch_names.index_of(each.name) is None
    ]
    if spec.sequence and spec.sequence.states:
        found += [
            f"{name} is no name as x__0, which states, inputs and outputs of a model with states must have"
            for name in (tensor.name for tensor in (*spec.inputs, *spec.outputs))
            if torch_names.index_of(name) is None
        ]
    unknown = [tensor for tensor in (*spec.inputs, *spec.outputs) if tensor.datatype not in _NATIVE_TYPES]
    return [
        *(f"{tensor.name} is {tensor.datatype}; not all releases of NVIDIA's backend take that" for tensor in unknown),
        *(f"{each}; NVIDIA's backend refuses that" for each in found if each),
    ]


def _of_tensor(tensor: TensorSpec, *, batched: bool) -> str:
    if tensor.datatype == "BYTES" and len(tensor.dims) + batched > 1:
        return f"{tensor.name} is {tensor.describe(batched=batched)}, and a list of strings has one dimension"
    return ""


def _of_argument(argument: Argument) -> str:
    known = argument.type.kind() in _NATIVE_ARGUMENTS
    return "" if known else f"forward's argument {argument.name} is {argument.type.annotation_str}"


def _of_result(result: Argument) -> str:
    kind = result.type.kind()
    if kind == "DictType":
        return f"forward returns {result.type.annotation_str}, whose keys are the outputs' names"
    if kind == "ListType" and result.type.getElementType().kind() != "StringType":
        return f"forward returns {result.type.annotation_str}"
    return ""
