"""Inputs and outputs: names, data types, dimensions, reshapes, formats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

from tritonforge.check.finding import Found, error, warning
from tritonforge.check.model import Model
from tritonforge.pbtxt.document import enum_name

__all__ = ["check_duplicates", "check_tensors", "tensors"]

TENSORRT = "tensorrt_plan"
_IMAGE_RANK = 3


def tensors(config: Any) -> Iterator[tuple[str, str, Any]]:
    """List the tensors of a configuration: "input" or "output", the field's path, the message."""
    for kind in ("input", "output"):
        for number, tensor in enumerate(getattr(config, kind)):
            yield kind, f"{kind}[{number}]", tensor


def check_tensors(model: Model) -> Iterator[Found]:
    """Check each tensor by itself."""
    for kind, path, tensor in tensors(model.config):
        if not tensor.name:
            yield error("TF620", f"{path}.name", f"an {kind} has no name", "give it one")
            continue
        yield from _check_type_and_dims(kind, path, tensor, batched=model.batched)
        if tensor.HasField("reshape"):
            yield from _check_reshape(kind, path, tensor, batched=model.batched)
        yield from _check_format(kind, path, tensor, model.config.platform)


def check_duplicates(model: Model) -> Iterator[Found]:
    """Warn of two tensors of one name: Triton takes them, and serves the first."""
    seen: set[tuple[str, str]] = set()
    for kind, path, tensor in tensors(model.config):
        if tensor.name and (kind, tensor.name) in seen:
            message = f'there are two {kind}s named "{tensor.name}"; Triton heeds only the first'
            yield warning("TF691", f"{path}.name", message, "rename one")
        seen.add((kind, tensor.name))


def _check_type_and_dims(kind: str, path: str, tensor: Any, *, batched: bool) -> Iterator[Found]:
    subject = f'{kind} "{tensor.name}"'
    if enum_name(tensor, "data_type") == "TYPE_INVALID":
        yield error(
            "TF621", f"{path}.data_type", f"{subject} has no data_type", "TYPE_FP32, TYPE_INT64, TYPE_STRING, …"
        )
    if not tensor.dims:
        hint = (
            "without a batch there are no scalars: give it a dimension in the graph, or in a @model class that runs it"
        )
        if batched:
            hint = "write the dimensions without the batch; one value a row is dims: [ 1 ] with reshape: { shape: [] }"
        yield error("TF622", f"{path}.dims", f"{subject} has no dims", hint)
    for number, dim in enumerate(tensor.dims):
        if dim < 1 and dim != -1:
            message = f"{subject} has the dimension {dim}; each is 1 or more, or -1 where it varies"
            yield error("TF622", f"{path}.dims[{number}]", message, "-1 for a dimension that varies")


def _check_reshape(kind: str, path: str, tensor: Any, *, batched: bool) -> Iterator[Found]:
    subject, shape = f'{kind} "{tensor.name}"', list(tensor.reshape.shape)
    field = f"{path}.reshape"
    if not shape and not batched:
        message = f"{subject} is reshaped to nothing, but without a batch there are no scalars"
        yield error("TF623", field, message, "max_batch_size above 0, or a shape with a dimension")
        return
    wrong = [number for number, dim in enumerate(shape) if dim < 1 and dim != -1]
    for number in wrong:
        message = f"{subject} is reshaped with the dimension {shape[number]}; each is 1 or more, or -1"
        yield error("TF623", f"{field}.shape[{number}]", message, "-1 for a dimension that varies")
    dims = list(tensor.dims)
    if wrong or any(dim < 1 and dim != -1 for dim in dims) or not dims:
        return
    if dims.count(-1) != shape.count(-1) or _chunks(dims) != _chunks(shape):
        message = f"{subject}: dims {dims} and reshape {shape} don't hold the same number of elements"
        hint = "between variable dimensions, the products of both must be equal"
        yield error("TF623", field, message, hint)


def _chunks(dims: Sequence[int]) -> list[int]:
    """Give the products of the dimensions before, between and after the variable ones."""
    products: list[int] = []
    chunk: list[int] = []
    for dim in dims:
        if dim == -1:
            products.append(prod(chunk))
            chunk = []
        else:
            chunk.append(dim)
    return [*products, prod(chunk)]


def _check_format(kind: str, path: str, tensor: Any, platform: str) -> Iterator[Found]:
    subject = f'{kind} "{tensor.name}"'
    layout = enum_name(tensor, "format") if kind == "input" else ""
    if layout in ("FORMAT_NHWC", "FORMAT_NCHW") and len(tensor.dims) != _IMAGE_RANK:
        message = f"{subject} has the format {layout} with {len(tensor.dims)} dims; it needs 3"
        yield error("TF624", f"{path}.format", message, "leave format out, or give height, width and channels")
    if tensor.is_shape_tensor and platform != TENSORRT:
        message = f"{subject} is a shape tensor, which only TensorRT has"
        yield error("TF625", f"{path}.is_shape_tensor", message, "take is_shape_tensor out")
    if tensor.is_non_linear_format_io:
        field = f"{path}.is_non_linear_format_io"
        if platform != TENSORRT:
            yield error("TF625", field, f"{subject} has a non-linear format, which only TensorRT has", "take it out")
        elif len(tensor.dims) != _IMAGE_RANK:
            yield error("TF625", field, f"{subject} has a non-linear format with {len(tensor.dims)} dims; it needs 3")
