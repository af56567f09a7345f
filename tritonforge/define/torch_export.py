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
from tritonforge.ir import ANONYMOUS

if TYPE_CHECKING:
    import onnx
    import torch

__all__ = ["evaluating", "export"]

OPSET = 18
"""ONNX operator set of exported modules: the lowest that torch's exporter writes."""


def export(
    module: torch.nn.Module,
    examples: Mapping[str, Array],
    inputs: Sequence[ParsedTensor],
    outputs: Sequence[str] | None,
) -> bytes:
    """Export a module in evaluation mode; named dimensions and the batch stay variable.

    Raises:
        ValueError: `outputs` are not as many as the module gives.
        Exception: whatever torch's exporter raises for a module that it can't export.
    """
    import torch

    names = _output_names(module, examples)
    if outputs is not None and len(outputs) != len(names):
        raise ValueError(f"outputs= gives {len(outputs)} names, forward gives {len(names)} tensors")
    kwargs = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in examples.items()}
    with warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")  # the exporter tells of deprecations inside torch
        program = torch.onnx.export(
            module,
            kwargs=kwargs,
            dynamo=True,
            dynamic_shapes={tensor.spec.name: _dynamic(tensor) for tensor in inputs},
            input_names=list(examples),
            output_names=list(outputs or names),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    _strip(proto)
    return bytes(proto.SerializeToString(deterministic=True))


def _output_names(module: torch.nn.Module, examples: Mapping[str, Array]) -> list[str]:
    """Call a module on examples, and name what it gives: `output`; `output_0`, `output_1`, …; the keys of a dict."""
    import torch

    with torch.inference_mode():
        result = module(**{name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in examples.items()})
    if isinstance(result, Mapping):
        return [str(key) for key in result]
    return [f"output_{index}" for index in range(len(result))] if isinstance(result, list | tuple) else ["output"]


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

    dims = (*(("batch",) if tensor.batched else ()), *tensor.spec.dims)
    return {
        axis: torch.export.Dim.DYNAMIC if dim == ANONYMOUS else torch.export.Dim(dim)
        for axis, dim in enumerate(dims)
        if isinstance(dim, str)
    }


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
