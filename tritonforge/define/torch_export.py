"""The export of a torch module to ONNX bytes that are the same each time."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tritonforge.define.annotations import ParsedTensor
from tritonforge.define.arrays import Array
from tritonforge.ir import ANONYMOUS

if TYPE_CHECKING:
    import onnx
    import torch

__all__ = ["export"]

OPSET = 18
"""ONNX operator set of exported modules: the lowest that torch's exporter writes."""


def export(
    module: torch.nn.Module, examples: Mapping[str, Array], inputs: Sequence[ParsedTensor], outputs: Sequence[str]
) -> bytes:
    """Export a module in evaluation mode; named dimensions and the batch stay variable.

    Raises:
        Exception: whatever torch's exporter raises for a module that it can't export.
    """
    import torch

    kwargs = {name: torch.from_numpy(array) for name, array in examples.items()}
    with warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")  # the exporter tells of deprecations inside torch
        program = torch.onnx.export(
            module,
            kwargs=kwargs,
            dynamo=True,
            dynamic_shapes={tensor.spec.name: _dynamic(tensor) for tensor in inputs},
            input_names=list(examples),
            output_names=list(outputs),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    _strip(proto)
    return bytes(proto.SerializeToString(deterministic=True))


def _dynamic(tensor: ParsedTensor) -> dict[int, Any]:
    import torch

    dims = (*(("batch",) if tensor.batched else ()), *tensor.spec.dims)
    return {
        axis: torch.export.Dim.DYNAMIC if dim == ANONYMOUS else torch.export.Dim(dim)
        for axis, dim in enumerate(dims)
        if isinstance(dim, str)
    }


def _strip(proto: onnx.ModelProto) -> None:
    """Take out what differs between machines: stack traces with paths, and the exporter's notes."""
    del proto.metadata_props[:]
    del proto.graph.metadata_props[:]
    proto.doc_string = proto.graph.doc_string = ""
    parts: list[Any] = [*proto.graph.node, *proto.graph.initializer, *proto.graph.value_info]
    parts += [*proto.graph.input, *proto.graph.output]
    for function in proto.functions:
        parts += [function, *function.node]
    for part in parts:
        part.doc_string = ""
        if hasattr(part, "metadata_props"):
            del part.metadata_props[:]


@contextlib.contextmanager
def _quiet() -> Any:
    """Keep the exporter's log and its progress lines from the user's terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)
