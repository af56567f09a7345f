"""Named dimensions that several tensors of a model have, or one of them twice."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from tritonforge.ir.signatures import ANONYMOUS, Signature, TensorSpec

__all__ = ["NamedDim", "shared_dims"]


@dataclass(frozen=True, slots=True)
class NamedDim:
    """A dimension that is of one size within a call; `inputs` and `outputs` have it: (name, axis of the array)."""

    name: str
    inputs: tuple[tuple[str, int], ...]
    outputs: tuple[tuple[str, int], ...]


def shared_dims(signature: Signature, *, but: Collection[str] = ()) -> tuple[NamedDim, ...]:
    """Find the dimensions whose names occur more than once; of the batch, Triton itself sees to that."""
    first = int(signature.batched)

    def axes(specs: tuple[TensorSpec, ...], name: str) -> tuple[tuple[str, int], ...]:
        return tuple((spec.name, axis) for spec in specs for axis, dim in enumerate(spec.dims, first) if dim == name)

    specs = (*signature.inputs, *signature.outputs)
    names = dict.fromkeys(dim for spec in specs for dim in spec.dims if isinstance(dim, str) and dim != ANONYMOUS)
    found = [NamedDim(name, axes(signature.inputs, name), axes(signature.outputs, name)) for name in names]
    return tuple(dim for dim in found if dim.name not in but and len(dim.inputs) + len(dim.outputs) > 1)
