"""A tensor of a signature as an entry of config.pbtxt."""

from __future__ import annotations

from collections.abc import Mapping

from tritonforge.define import Tensor
from tritonforge.dtypes import DTYPES
from tritonforge.ir import File, TensorConfig, TensorSpec

__all__ = ["configure_tensor", "label_file", "label_files", "refine_tensor"]


def configure_tensor(spec: TensorSpec, *, batched: bool, reshape: bool = True, ragged: bool = False) -> TensorConfig:
    """Write a tensor down: a named dimension is -1.

    Triton wants at least one dimension beside the batch. So one value a row is `dims: [1]`, which clients see, and is
    reshaped to none for the model. An ensemble has no reshape of its own (`reshape=False`). Triton puts requests of
    different sizes together only where the input is `ragged`.
    """
    dims = spec.sizes
    empty = batched and not dims
    return TensorConfig(
        spec.name,
        DTYPES[spec.datatype].config,
        (1,) if empty else dims,
        () if empty and reshape else None,
        spec.optional,
        allow_ragged_batch=ragged,
    )


def refine_tensor(config: TensorConfig, tensor: Tensor) -> TensorConfig:
    """Add what a setting says of a tensor to its entry."""
    labels = tensor.label_filename or (label_file(config.name) if tensor.labels else "")
    return TensorConfig(
        config.name,
        DTYPES[tensor.data_type].config if tensor.data_type in DTYPES else config.data_type,
        config.dims if tensor.dims is None else tensor.dims,
        config.reshape if tensor.reshape is None and tensor.dims is None else tensor.reshape,
        optional=config.optional or tensor.optional,
        format=f"FORMAT_{tensor.format.upper()}",  # type: ignore[arg-type]  # both are closed sets of the same names
        is_shape_tensor=tensor.is_shape_tensor,
        allow_ragged_batch=config.allow_ragged_batch or tensor.allow_ragged_batch,
        is_non_linear_format_io=tensor.is_non_linear_format_io,
        label_filename=labels,
    )


def label_file(output: str) -> str:
    """Name the file of an output's labels."""
    return f"{output}_labels.txt".replace("/", "_")


def label_files(tensors: Mapping[str, Tensor]) -> list[File]:
    """Write the files of labels that are given in Python."""
    labelled = {name: tensor for name, tensor in tensors.items() if tensor.labels}
    return [
        File(tensor.label_filename or label_file(name), content=("\n".join(tensor.labels) + "\n").encode())
        for name, tensor in sorted(labelled.items())
    ]
