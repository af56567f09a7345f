"""What a graph says of a model's configuration, by the rules of Triton's native backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tritonforge_runtime import LoadError, ModelSpec, Ragged, TensorSpec

__all__ = ["Node", "check", "complete", "dims", "is_batched"]

Node = Any
"""ONNX Runtime's `NodeArg`: a name, a `type` such as `tensor(float)`, a shape with None or a name where it varies."""

_DEFAULT_MAX_BATCH_SIZE = 4  # the server's own `default-max-batch-size`, which a Python backend isn't told

_DATATYPES = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}


def complete(fields: dict[str, Any], session: Any) -> None:
    """Fill in the tensors, maximum batch size and batching that a configuration lacks.

    A graph can be batched if the first dimension of every input and output varies. Where the configuration doesn't say
    how far, it is up to 4, as it is natively.

    Raises:
        LoadError: the configuration asks for a batch that the graph doesn't have, or a type is none of Triton's.
    """
    inputs, outputs = session.get_inputs(), session.get_outputs()
    batched = is_batched([*inputs, *outputs])
    if batched and fields["max_batch_size"] == 0:
        fields["max_batch_size"] = _DEFAULT_MAX_BATCH_SIZE
    if not batched and fields["max_batch_size"] > 0:
        raise LoadError(
            f"max_batch_size is {fields['max_batch_size']}, but the graph has no batch: the first dimension of every "
            f"input and output must vary; there are {', '.join(map(_describe, [*inputs, *outputs]))}"
        )
    if fields["max_batch_size"] > 1 and "sequence_batching" not in fields:
        fields.setdefault("dynamic_batching", {})
    for key, nodes in (("input", inputs), ("output", outputs)):
        if not fields[key]:
            fields[key] = [_tensor(node, batched=batched) for node in nodes]


def check(spec: ModelSpec, session: Any, ragged: Ragged | None = None) -> None:
    """Compare a configuration with the graph, whose tensors have no batch where they are `ragged`.

    Raises:
        LoadError: a tensor is missing here or there, or its datatype or dimensions differ.
    """
    initializers = session.get_overridable_initializers()
    given = {node.name: node for node in [*session.get_inputs(), *initializers]}
    results = {node.name: node for node in session.get_outputs()}
    seen = ragged.seen(spec) if ragged else (spec,)
    for part in seen:
        _check_all("input", part.inputs, given, batched=part.batched)
        _check_all("output", part.outputs, results, batched=part.batched)
    known = {each.name for part in seen for each in part.inputs}
    missing = [node.name for node in session.get_inputs() if node.name not in known]
    if missing:
        raise LoadError(f"the graph's inputs {', '.join(missing)} are missing in the configuration")


def is_batched(nodes: Sequence[Node]) -> bool:
    """Say whether the first dimension of all tensors varies."""
    return all(shape and shape[0] == -1 for shape in map(dims, nodes))


def dims(node: Node) -> tuple[int, ...]:
    """Give a tensor's dimensions, -1 for those that vary."""
    return tuple(dim if isinstance(dim, int) else -1 for dim in node.shape)


def _tensor(node: Node, *, batched: bool) -> dict[str, Any]:
    datatype = _datatype(node)
    shape = list(dims(node)[batched:])
    tensor = {"name": node.name, "data_type": f"TYPE_{'STRING' if datatype == 'BYTES' else datatype}", "dims": shape}
    if shape:
        return tensor
    tensor["dims"] = [1]
    return {**tensor, "reshape": {"shape": []}} if batched else tensor


def _datatype(node: Node) -> str:
    """Give Triton's name of a tensor's type.

    Raises:
        LoadError: it is none that the native backend serves: BF16, a float of 8 bits, a sequence.
    """
    datatype = _DATATYPES.get(node.type)
    if datatype is None:
        raise LoadError(f"the graph's \"{node.name}\" is {node.type}, which the ONNX Runtime backend can't serve")
    return datatype


def _check_all(kind: str, specs: Sequence[TensorSpec], nodes: Mapping[str, Node], *, batched: bool) -> None:
    for spec in specs:
        node = nodes.get(spec.name)
        if node is None:
            raise LoadError(f'the graph has no {kind} "{spec.name}"; it has {", ".join(nodes) or "none"}')
        if _datatype(node) != spec.datatype or not _agrees(spec, node, batched=batched):
            raise LoadError(
                f'{kind} "{spec.name}" is {spec.describe(batched=batched)} in the configuration, but {_describe(node)} '
                "in the graph"
            )


def _agrees(spec: TensorSpec, node: Node, *, batched: bool) -> bool:
    # A graph may leave a rank unsaid, and a scalar is [1] in the configuration, which knows no rank 0.
    if node.shape is None or (not batched and not node.shape and spec.dims == (1,)):
        return True
    wanted = (-1, *spec.dims) if batched else spec.dims
    found = dims(node)
    return len(wanted) == len(found) and all(
        -1 in pair or len(set(pair)) == 1 for pair in zip(wanted, found, strict=True)
    )


def _describe(node: Node) -> str:
    return f"{node.name}: {_DATATYPES.get(node.type, node.type)}{list(dims(node))}"
