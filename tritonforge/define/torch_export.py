"""The export of a torch module to ONNX bytes that are the same each time."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tritonforge.define.annotations import ParsedTensor
from tritonforge.define.arrays import Array
from tritonforge.define.onnx_sessions import open_session
from tritonforge.ir import ANONYMOUS

if TYPE_CHECKING:
    import onnx
    import torch

__all__ = ["evaluating", "export", "find_fixed_size", "inside"]

OPSET = 18
"""ONNX operator set of exported modules: the lowest that torch's exporter writes."""


def inside(given: Any) -> Any:
    """Give the module that `torch.compile` or a data parallel wrapper is around; anything else as it is."""
    import torch

    while isinstance(given, torch.nn.Module):
        wrapped = isinstance(given, torch.nn.DataParallel | torch.nn.parallel.DistributedDataParallel)
        within = given.module if wrapped else getattr(given, "_orig_mod", None)
        if not isinstance(within, torch.nn.Module):
            break
        given = within
    return given


def export(
    module: torch.nn.Module,
    examples: Mapping[str, Array],
    inputs: Sequence[ParsedTensor],
    outputs: Sequence[str] | None,
) -> bytes:
    """Export a module in evaluation mode; named dimensions and the batch stay variable.

    Raises:
        ValueError: `outputs` are not as many as the module gives, an output has the name of an input, or is no tensor.
        Exception: whatever torch's exporter raises for a module that it can't export.
    """
    import torch

    results = _call(module, examples)
    if nested := [name for name, value in results.items() if not isinstance(value, torch.Tensor)]:
        found = type(results[nested[0]]).__name__
        raise ValueError(f'"{nested[0]}" of what forward gives is of type {found}: give tensors, alone or in one dict')
    names = [*results]
    if outputs is not None and len(outputs) != len(names):
        given = f"{len(outputs)} name{'s'[: len(outputs) != 1]}"
        raise ValueError(f"outputs= gives {given}, forward gives {len(names)}")
    if outputs is not None and set(outputs) != set(names):  # else a dict has them, in an order of its own
        names = [*outputs]
    if both := [name for name in names if name in examples]:
        raise ValueError(
            f'"{both[0]}" is an input and an output, and a graph names a value once: outputs= names them anew'
        )
    kwargs = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in examples.items()}
    with warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")  # the exporter tells of deprecations inside torch
        program = torch.onnx.export(
            module,
            kwargs=kwargs,
            dynamo=True,
            dynamic_shapes={tensor.spec.name: _dynamic(tensor) for tensor in inputs},
            input_names=list(examples),
            output_names=names,
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    _strip(proto)
    return bytes(proto.SerializeToString(deterministic=True))


def find_fixed_size(
    module: torch.nn.Module, content: bytes, examples: Mapping[str, Array], inputs: Sequence[ParsedTensor]
) -> tuple[str, int, str] | None:
    """Find a variable dimension of which a module's graph has only the example's size; torch's exporter doesn't tell.

    Each dimension is doubled, and the graph run on that, where the module takes it and onnxruntime is installed.

    Returns:
        The dimension, its size, and what shows it; None where there is none.
    """
    try:
        session = open_session(content)
    except ModuleNotFoundError:
        return None
    taken = {tensor.name for tensor in session.get_inputs()}
    said = [tensor.shape for tensor in session.get_outputs()]
    for dim, axes in _variable(inputs).items():
        arrays = dict(examples)
        for name, axis in axes:
            arrays[name] = np.concatenate([arrays[name], arrays[name]], axis)
        try:
            wanted = [list(result.shape) for result in _call(module, arrays).values()]
        except Exception:  # the module itself has one size, or more than a rule for it
            continue
        name, axis = axes[0]
        size = examples[name].shape[axis]
        try:
            results = session.run(None, {name: array for name, array in arrays.items() if name in taken})
        except Exception:
            return dim, size, f"for {2 * size} the graph fails"
        for tensor, shape, result, right in zip(session.get_outputs(), said, results, wanted, strict=True):
            fits = all(
                isinstance(there, str | None) or there == here for there, here in zip(shape, right, strict=False)
            )
            if list(result.shape) != right or not fits:
                return dim, size, f'for {2 * size} forward gives {right} as "{tensor.name}", the graph says {shape}'
    return None


def _variable(inputs: Sequence[ParsedTensor]) -> dict[str, list[tuple[str, int]]]:
    """Give the tensors and axes of each variable dimension; one without a name stands by itself."""
    found: dict[str, list[tuple[str, int]]] = {}
    for tensor in inputs:
        for axis, dim in _variable_axes(tensor).items():
            key = f'dimension {axis} of "{tensor.spec.name}"' if dim == ANONYMOUS else dim
            found.setdefault(key, []).append((tensor.spec.name, axis))
    return found


def _call(module: torch.nn.Module, arrays: Mapping[str, Array]) -> dict[str, Any]:
    """Call a module, and name what it gives: `output`; `output_0`, `output_1`, …; the keys of a dict."""
    import torch

    with torch.inference_mode():
        result = module(**{name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()})
    if isinstance(result, Mapping):
        return {str(key): value for key, value in result.items()}
    if isinstance(result, list | tuple):
        return {f"output_{index}": value for index, value in enumerate(result)}
    return {"output": result}


@contextlib.contextmanager
def evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Put a module into evaluation mode for a while, and every part of it back as it was."""
    before = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, training in before.items():
            part.training = training


def _dynamic(tensor: ParsedTensor) -> dict[int, Any]:
    import torch

    return {
        axis: torch.export.Dim.DYNAMIC if dim == ANONYMOUS else torch.export.Dim(dim)
        for axis, dim in _variable_axes(tensor).items()
    }


def _variable_axes(tensor: ParsedTensor) -> dict[int, str]:
    dims = (*(("batch",) if tensor.batched else ()), *tensor.spec.dims)
    return {axis: dim for axis, dim in enumerate(dims) if isinstance(dim, str)}


def _strip(proto: onnx.ModelProto) -> None:
    """Take out what differs between machines: stack traces with paths, the exporter's notes and its build."""
    del proto.metadata_props[:]
    del proto.graph.metadata_props[:]
    proto.doc_string = proto.graph.doc_string = proto.producer_version = ""
    parts: list[Any] = [*proto.graph.node, *proto.graph.initializer, *proto.graph.value_info]
    parts += [*proto.graph.input, *proto.graph.output]
    for function in proto.functions:
        parts += [function, *function.node]
    for part in parts:
        part.doc_string = ""
        if hasattr(part, "metadata_props"):
            del part.metadata_props[:]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's log, progress lines and dumps of graphs (torch 2.13) from the user's terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)
