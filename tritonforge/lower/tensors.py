"""A tensor of a signature as an entry of config.pbtxt."""

from __future__ import annotations

from tritonforge.dtypes import DTYPES
from tritonforge.ir import TensorConfig, TensorSpec

__all__ = ["configure_tensor"]


def configure_tensor(spec: TensorSpec, *, batched: bool, reshape: bool = True) -> TensorConfig:
    """Write a tensor down: a named dimension is -1.

    Triton wants at least one dimension beside the batch. So one value a row is `dims: [1]`, which clients see, and is
    reshaped to none for the model. An ensemble has no reshape of its own (`reshape=False`).
    """
    dims = tuple(dim if isinstance(dim, int) else -1 for dim in spec.dims)
    empty = batched and not dims
    return TensorConfig(
        spec.name,
        DTYPES[spec.datatype].config,
        (1,) if empty else dims,
        () if empty and reshape else None,
        spec.optional,
    )
