"""Tensors in system shared memory, registered with a server on this machine: requests then only refer to them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritonforge.dtypes import DTYPES
from tritonforge.load.errors import LoadFailed
from tritonforge.load.input.prepare import Region
from tritonforge.load.input.segments import Segment, clear_abandoned, ownerless
from tritonforge.load.input.signature import ServedModel
from tritonforge.load.input.tensors import to_bytes
from tritonforge.load.observed.control import Control

__all__ = ["Regions", "output_sizes"]


class Regions:
    """Regions of one server: of each request's inputs, and each model's outputs; removed at the end of the block.

    What runs that were killed have left is removed where the first one is made.
    """

    def __init__(self, control: Control) -> None:
        self._control = control
        self._held: list[Segment] = []

    def __enter__(self) -> Regions:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for memory in self._held:
            with contextlib.suppress(LoadFailed):
                self._control.unregister(memory.name)
            memory.close()
        self._held.clear()

    def place(self, inputs: Mapping[str, tuple[str, NDArray[Any]]]) -> dict[str, Region]:
        """Write a request's tensors into a region of their own, and say where each is.

        Raise LoadFailed where the server can't open it: it runs elsewhere, or in a container of its own.
        """
        parts = {name: to_bytes(array, datatype) for name, (datatype, array) in inputs.items()}
        regions = self.reserve({name: len(data) for name, data in parts.items()})
        memory = self._held[-1].memory
        for tensor, data in parts.items():
            start = regions[tensor].offset
            memory[start : start + len(data)] = data
        return regions

    def reserve(self, sizes: Mapping[str, int]) -> dict[str, Region]:
        """Make room for tensors of so many bytes, and say where each goes. Raise LoadFailed as `place` does."""
        total, first = max(sum(sizes.values()), 1), not self._held
        if first:
            clear_abandoned()
        try:
            memory = Segment(total)
        except OSError as error:
            raise LoadFailed(f"no shared memory of {total} bytes can be had in /dev/shm: {error}") from error
        self._held.append(memory)
        regions, offset = {}, 0
        for tensor, size in sizes.items():
            regions[tensor] = Region(memory.name, offset, size)
            offset += size
        self._control.register(memory.name, f"/{memory.name}", total)
        if first:  # it sees this machine's memory
            self._unregister_abandoned()
        return regions

    def _unregister_abandoned(self) -> None:
        with contextlib.suppress(LoadFailed):
            for name in ownerless(self._control.regions()):
                self._control.unregister(name)


def output_sizes(served: ServedModel, batch_size: int, otherwise: int | None) -> dict[str, int]:
    """Give the bytes of outputs; `otherwise` where the size varies, as that of text does; None leaves those out."""
    sizes: dict[str, int | None] = {}
    for tensor in served.outputs:
        itemsize = 0 if tensor.datatype == "BYTES" else np.dtype(DTYPES[tensor.datatype].numpy).itemsize
        known = itemsize and -1 not in tensor.dims
        rows = batch_size if served.batches else 1
        sizes[tensor.name] = rows * math.prod(tensor.dims) * itemsize if known else otherwise
    return {name: size for name, size in sizes.items() if size is not None}
