"""ONNX files beside their configuration: completed as the backend does it, and compared."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tritonforge.check.complete import default_filename, served_versions
from tritonforge.check.finding import Found, error, warning
from tritonforge.check.model import Model
from tritonforge.check.onnx_names import no_such
from tritonforge.check.onnx_sequences import compare_sequence, names_tensors, sequence_inputs, swapped
from tritonforge.check.onnx_tensors import compare_dims, compare_type
from tritonforge.define.near_names import match_names
from tritonforge.dtypes import DTYPES
from tritonforge.errors import DiagnosticError, Where
from tritonforge.pbtxt.document import enum_name

if TYPE_CHECKING:
    from tritonforge.define.onnx_graph import OnnxGraph, OnnxTensor

__all__ = ["check_onnx"]

_DEFAULT_MAX_BATCH_SIZE = 4


def check_onnx(model: Model) -> Iterator[Found]:
    """Read the graph of each version; complete `model.config` from the last, and compare it with all."""
    if model.config.backend != "onnxruntime":
        return
    for version in reversed(served_versions(model.config, model.folder.versions)):
        file = model.folder.path / str(version) / default_filename(model.config)
        file = file / "model.onnx" if file.is_dir() else file
        if not file.is_file():
            continue
        place = f"{model.name}/{file.relative_to(model.folder.path).as_posix()}"
        try:
            graph = _read(file)
        except DiagnosticError as failure:
            for each in failure.diagnostics:
                subject = each.where.subject.removeprefix(", ")  # a tensor
                message = f"{subject}: {each.message}" if subject else each.message
                yield error("TF685", "", message, each.hint, file=place)
            continue
        yield from _check_external(graph, file, place)
        batched = all(tensor.dims and not isinstance(tensor.dims[0], int) for tensor in [*graph.inputs, *graph.outputs])
        if not (model.config.input and model.config.output):
            _complete(model.config, graph, batched=batched)
        yield from _compare(model, graph, batched=batched)


def _read(file: Path) -> OnnxGraph:
    from tritonforge.define.onnx_graph import read_graph

    return read_graph(file, Where())


def _check_external(graph: OnnxGraph, file: Path, place: str) -> Iterator[Found]:
    """Find weights in files that aren't there, or where ONNX Runtime doesn't read them."""
    for location in graph.external:
        source = Path(os.path.abspath(file.parent / location))
        if os.path.isabs(location) or not source.is_relative_to(os.path.abspath(file.parent)):
            message = f'it keeps weights in "{location}", outside of its folder, where ONNX Runtime refuses to read'
        elif not source.is_file():
            message = f'it keeps weights in "{location}", and {source} isn\'t there'
        else:
            continue
        yield error("TF685", "", message, "put that file beside it, or export the model again", file=place)


def _complete(config: Any, graph: OnnxGraph, *, batched: bool) -> None:
    if batched and config.max_batch_size == 0:
        config.max_batch_size = _DEFAULT_MAX_BATCH_SIZE
    if config.max_batch_size > 1 and config.WhichOneof("scheduling_choice") is None:
        config.dynamic_batching.SetInParent()
    for field, there in ((config.input, graph.inputs), (config.output, graph.outputs)):
        if field:
            continue
        for tensor in there:
            new = field.add(name=tensor.name)
            enum = new.DESCRIPTOR.fields_by_name["data_type"].enum_type
            new.data_type = enum.values_by_name[DTYPES[tensor.datatype].config].number
            dims = [dim if isinstance(dim, int) else -1 for dim in tensor.dims or ()][batched:]
            new.dims.extend(dims or [1])
            if not dims and batched:
                new.reshape.SetInParent()


def _compare(model: Model, graph: OnnxGraph, *, batched: bool) -> Iterator[Found]:
    ragged = _ragged(model)
    if model.batched and not batched and not ragged:
        listed = ", ".join(f"{tensor.name}: {tensor}" for tensor in [*graph.inputs, *graph.outputs])
        message = f"max_batch_size is {model.config.max_batch_size}, but the graph has no batch dimension: {listed}"
        yield error("TF686", "max_batch_size", message, "0, or export with a dynamic first dimension in every tensor")
        return
    given = _given(model.config)
    missing = [needed for needed in graph.inputs if needed.name not in given.keys() | swapped(model.config, graph)]
    there = {tensor.name for tensor in (*graph.inputs, *graph.initialized)}
    meant = match_names((name for name in given if name not in there), (needed.name for needed in missing))
    for kind, tensors in (("input", (*graph.inputs, *graph.initialized)), ("output", graph.outputs)):
        known = {tensor.name: tensor for tensor in tensors}
        for number, tensor in enumerate(getattr(model.config, kind)):
            yield from _compare_tensor(model, f"{kind}[{number}]", kind, tensor, known, ragged, meant)
    yield from _compare_computed(model, {tensor.name: tensor for tensor in graph.inputs}, meant)
    yield from compare_sequence(model, graph, meant)
    hint = "add it, or say which state or control it is" if names_tensors(model.config) else "add it"
    for needed in missing:
        if needed.name not in meant.values():
            yield error("TF686", "input", f'the graph needs the input "{needed.name}", {needed}', hint)
    yield from _compare_presence(model, graph)


def _ragged(model: Model) -> set[str]:
    """Name the tensors that run through all requests of a batch, end to end, and have no batch in the graph."""
    config = model.config
    if not model.batched:
        return set()
    joined = {tensor.name for tensor in config.input if tensor.allow_ragged_batch}
    return joined | {name for each in config.batch_output for name in each.target_name}


def _compare_computed(model: Model, known: dict[str, OnnxTensor], meant: Mapping[str, str]) -> Iterator[Found]:
    """Compare the inputs that Triton computes of a batch: one row for all requests, or of shapes one for each."""
    for number, each in enumerate(model.config.batch_input if model.batched else ()):
        path, rank = f"batch_input[{number}]", 2 if enum_name(each, "kind") == "BATCH_ITEM_SHAPE" else 1
        for name in each.target_name:
            node = known.get(name)
            if node is None:
                yield no_such(f"{path}.target_name", "input", name, list(known), meant)
                continue
            datatype = enum_name(each, "data_type")
            yield from compare_type(f"{path}.data_type", f'batch input "{name}"', datatype, node)
            if node.dims is not None and len(node.dims) != rank:
                message = (
                    f'batch input "{name}" has {rank} dimension{"s" * (rank > 1)}, and {len(node.dims)} in the graph'
                )
                yield error("TF686", f"{path}.kind", message, "another kind, or export the graph with as many")


def _given(config: Any) -> dict[str, None]:
    """Name the inputs that a graph gets: from requests, or from Triton itself; in the order of the configuration."""
    computed = (name for each in config.batch_input for name in each.target_name)
    return dict.fromkeys((*(tensor.name for tensor in config.input), *computed, *sequence_inputs(config)))


def _compare_presence(model: Model, graph: OnnxGraph) -> Iterator[Found]:
    """Warn of what NVIDIA's backend (24.10) refuses, and the embedded server's doesn't, of optional inputs."""
    initialized = {tensor.name for tensor in graph.initialized}
    needed = {tensor.name for tensor in graph.inputs}
    for number, tensor in enumerate(model.config.input):
        reason = hint = ""
        if tensor.optional and tensor.name in needed:
            reason, hint = "is optional here, and the graph has no initializer for it", "optional: false"
        elif tensor.optional and model.batched:
            reason, hint = "is optional, and the model has a batch", "max_batch_size: 0, or leave the input out"
        elif tensor.name in initialized and not tensor.optional:
            reason, hint = "is required here, and the graph has an initializer for it", "optional: true"
        if reason:
            message = f'input "{tensor.name}" {reason}: NVIDIA\'s backend refuses that'
            yield warning("TF686", f"input[{number}].optional", message, hint)


def _compare_tensor(
    model: Model,
    path: str,
    kind: str,
    tensor: Any,
    known: dict[str, OnnxTensor],
    ragged: set[str],
    meant: Mapping[str, str],
) -> Iterator[Found]:
    node = known.get(tensor.name)
    if node is None:
        yield no_such(f"{path}.name", kind, tensor.name, list(known), meant if kind == "input" else {})
        return
    subject = f'{kind} "{tensor.name}"'
    yield from compare_type(f"{path}.data_type", subject, enum_name(tensor, "data_type"), node)
    if tensor.name in ragged:
        if node.dims is not None and len(node.dims) != 1:
            message = f"{subject} is ragged, and {node} in the graph"
            yield error("TF686", f"{path}.dims", message, "export it with one dimension: all requests come end to end")
        return
    shape = tensor.reshape.shape if tensor.HasField("reshape") else tensor.dims
    yield from compare_dims(f"{path}.dims", subject, list(shape), node, batched=model.batched)
