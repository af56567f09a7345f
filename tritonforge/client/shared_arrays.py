"""Arrays of the caller's own that lie in shared memory: what is in them is never copied on its way to the server."""

from __future__ import annotations

import errno
import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tritonforge.client.arguments import kind_of
from tritonforge.client.segments import Segment
from tritonforge.client.shared_transport import SharedMemoryTransport
from tritonforge.client.wire import Array

__all__ = ["Shape", "SharedArrays"]

Shape = tuple[Sequence[int], DTypeLike]
"""The shape and dtype of an array."""

_ALIGNED = 64


class SharedArrays:
    """One segment with several arrays, known to each of a client's servers that can map it."""

    def __init__(self, transports: Sequence[SharedMemoryTransport], shapes: Mapping[str, Shape], url: str) -> None:
        """Raise ValueError where no server is on this machine, or for no shape; OSError where there's no room.

        Raise RuntimeError where the client is closed.
        """
        if not transports:
            raise ValueError(f"shared memory is for a server on this machine, and not switched off; the URL is {url}")
        if any(transport.arena.closed for transport in transports):
            raise RuntimeError(f"the client of {url} is closed")
        places: dict[str, tuple[int, tuple[int, ...], np.dtype[Any]]] = {}
        size = 0
        for name, wanted in shapes.items():
            given, kind = _pair(name, wanted)
            shape, dtype = _shape(name, given), np.dtype(kind)
            if dtype.hasobject or (dtype.kind in "USV" and dtype.name != "bfloat16"):
                raise ValueError(f"{name}: {dtype} has no fixed size on the wire; shared arrays hold numbers")
            places[name] = (size, shape, dtype)
            size += -(-math.prod(shape) * dtype.itemsize // _ALIGNED) * _ALIGNED
        try:
            self._segment = Segment(max(size, 1))
        except (OSError, OverflowError) as error:
            raise OSError(errno.ENOSPC, f"/dev/shm has no room for shared arrays of {size} bytes") from error
        self._transports = transports
        for transport in transports:
            transport.arena.fix(self._segment)
        self.arrays: dict[str, Array] = {
            name: np.frombuffer(self._segment.array, dtype, math.prod(shape), offset).reshape(shape)
            for name, (offset, shape, dtype) in places.items()
        }

    async def close(self) -> None:
        """Unregister and remove the segment; the arrays stay, as memory of this process alone."""
        for transport in self._transports:
            await transport.release(self._segment)
        self._segment.close()


def _pair(name: str, wanted: object) -> Shape:
    if not isinstance(wanted, (tuple, list)) or len(wanted) != 2:
        hint = f"{name}=((64, 20), np.float32)"
        raise TypeError(f"{name} is {kind_of(wanted)}; it takes a shape and a dtype, as in {hint}")
    return wanted[0], wanted[1]


def _shape(name: str, given: Sequence[int]) -> tuple[int, ...]:
    try:
        shape = tuple(operator.index(size) for size in given)
    except TypeError as error:
        raise TypeError(
            f"{name}: its shape is {given!r}; it takes whole numbers, as in ((64, 20), np.float32)"
        ) from error
    if any(size < 0 for size in shape):
        raise ValueError(f"{name}: its shape is {list(shape)}; a shared array has a fixed size, with no -1 in it")
    return shape
