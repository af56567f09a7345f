"""How requests that differ in a dimension are filled up so that they can be stacked."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["PadValue", "PaddedDim"]

PadValue = int | float | bool | str | bytes


@dataclass(frozen=True, slots=True)
class PaddedDim:
    """A named dimension that is filled with `value`, up to the next of `buckets`, or of the longest request.

    `inputs` and `outputs` are the tensors that have it: (name, axis), where axis 0 is the batch. `mask` says that the
    function takes a mask of it, as the parameter `<name>_mask`.
    """

    name: str
    value: PadValue
    buckets: tuple[int, ...] = ()
    inputs: tuple[tuple[str, int], ...] = ()
    outputs: tuple[tuple[str, int], ...] = ()
    mask: bool = False

    @property
    def literal(self) -> str:
        """The value as Python source."""
        if isinstance(self.value, float) and not math.isfinite(self.value):
            return f'float("{self.value}")'
        return repr(self.value)
