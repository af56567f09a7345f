"""Arrays of the caller's own that lie in shared memory: what is in them is never copied on its way to the server."""

from __future__ import annotations

import errno
import math
import operator
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from tritonforge.client.concurrency.blocking import finish
from tritonforge.client.shared_memory.segments import Segment
from tritonforge.client.shared_memory.transport import SharedMemoryTransport
from tritonforge.client.tensors.arguments import kind_of
from tritonforge.client.tensors.wire import Array

__all__ = ["Place", "Shape", "SharedArrays", "lay_out", "lent", "lent_async", "require_sharing"]

Shape = tuple[Sequence[int], DTypeLike]
"""The shape and dtype of an array."""

_ALIGNED = 64
Arrays = TypeVar("Arrays")


class Place(NamedTuple):
    """Where an array lies in memory that several share, `offset` in bytes, and what it is."""

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class Lendable(Protocol[Arrays]):
    """Arrays that are lent until they are closed."""

    arrays: Arrays

    async def close(self) -> None:
        """Have the servers let go of them."""


class SharedArrays:
    """One segment with several arrays, known to each of a client's servers that can map it."""

    def __init__(self, transports: Sequence[SharedMemoryTransport], shapes: Mapping[str, Shape], url: str) -> None:
        """Raise ValueError where no server is on this machine, or for no shape; OSError where there's no room.

        Raise RuntimeError where the client is closed.
        """
        require_sharing(transports, url)
        places, size = lay_out(shapes, _ALIGNED)
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
        """Remove and unregister the segment; the arrays stay, as memory of this process alone."""
        self._segment.close()  # first: a server that is being told of it still can't map it any more
        for transport in self._transports:
            await transport.release(self._segment)


def require_sharing(transports: Sequence[SharedMemoryTransport], url: str) -> None:
    """Raise ValueError where no server is on this machine, RuntimeError where the client is closed."""
    if not transports:
        raise ValueError(f"shared memory is for a server on this machine, and not switched off; the URL is {url}")
    if any(transport.arena.closed for transport in transports):
        raise RuntimeError(f"the client of {url} is closed")


def lay_out(shapes: Mapping[str, Shape], alignment: int) -> tuple[dict[str, Place], int]:
    """Place arrays one after the other; give the bytes of all, too. Raise ValueError for no shape, or no numbers."""
    places = {}
    size = 0
    for name, wanted in shapes.items():
        given, kind = _pair(name, wanted)
        shape, dtype = _shape(name, given), np.dtype(kind)
        if dtype.hasobject or (dtype.kind in "USV" and dtype.name != "bfloat16"):
            raise ValueError(f"{name}: {dtype} has no fixed size on the wire; shared arrays hold numbers")
        places[name] = Place(size, shape, dtype)
        size += -(-math.prod(shape) * dtype.itemsize // alignment) * alignment
    return places, size


@contextmanager
def lent(make: Callable[[], Lendable[Arrays]]) -> Iterator[Arrays]:
    """Make arrays for a block, of threads."""
    shared = make()
    try:
        yield shared.arrays
    finally:
        finish(shared.close())


@asynccontextmanager
async def lent_async(make: Callable[[], Lendable[Arrays]]) -> AsyncIterator[Arrays]:
    """Make arrays for a block, of an event loop."""
    shared = make()
    try:
        yield shared.arrays
    finally:
        await shared.close()


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
