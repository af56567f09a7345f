"""Tensors of which clients see another shape than the model's Python, since a setting says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tritonforge.define.settings import Tensor
from tritonforge.ir import Signature, TensorSpec

__all__ = ["reshaped"]


def reshaped(signature: Signature, tensors: Mapping[str, Tensor]) -> Signature:
    """Tell a signature what clients see: `Tensor(dims=(2, 3), reshape=(6,))`."""
    seen = {name: one.dims for name, one in tensors.items() if one.dims is not None and one.reshape is not None}
    if not seen:
        return signature

    def told(specs: Iterable[TensorSpec]) -> tuple[TensorSpec, ...]:
        return tuple(
            replace(spec, reshaped=seen[spec.name]) if seen.get(spec.name, spec.wire) != spec.wire else spec
            for spec in specs
        )

    return replace(signature, inputs=told(signature.inputs), outputs=told(signature.outputs))
