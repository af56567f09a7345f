"""Requests like one that has passed the checks before: what they have in common is looked up, not checked again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tritonforge.client.message import Kind
from tritonforge.client.metadata import ServedModel
from tritonforge.client.tensors.wire import Array, numpy_dtype

__all__ = ["Form", "Known", "form_of"]

Form = tuple[object, ...]
"""The outputs asked for, and the name, dtype and shape of each array."""

_MOST_KINDS = 256


class Known:
    """A served model, and the kinds of requests that have been found to match it."""

    __slots__ = ("datatypes", "kinds", "output_names", "served", "special", "types")

    def __init__(self, served: ServedModel) -> None:
        self.served = served
        self.datatypes = {spec.name: spec.datatype for spec in served.signature.outputs}
        self.output_names = [*self.datatypes]
        self.special = served.queue_timeout or served.signature.decoupled
        self.types = tuple(self.datatypes.items())
        self.kinds: dict[Form | None, Kind] = {}

    def learn(self, form: Form | None, inputs: Mapping[str, Array]) -> None:
        """Keep the kind of a request that matches the model; of arrays alone whose bytes go as they are."""
        if form is None:
            return
        tensors = []
        for spec in self.served.signature.inputs:
            array = inputs.get(spec.name)
            if array is None:
                continue
            # Of the other byte order, a dtype compares as another one.
            if spec.datatype == "BYTES" or array.dtype != numpy_dtype(spec.datatype):
                return
            tensors.append((spec.name, spec.datatype, array.shape))
        if len(self.kinds) >= _MOST_KINDS:
            self.kinds.clear()
        self.kinds[form] = Kind(tuple(tensors), sum(array.nbytes for array in inputs.values()))


def form_of(inputs: Mapping[str, Any], outputs: Sequence[str]) -> Form | None:
    """Give what of a request decides whether it matches a model; None where that takes another look each time."""
    form: list[object] = [tuple(outputs)]
    for name, array in inputs.items():
        if type(array) is not np.ndarray:  # not isinstance: what a subclass says of itself may be anything
            return None
        form += (name, array.dtype, array.shape)
    return tuple(form)
