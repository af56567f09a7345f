"""Shared memory segments of this process: made, kept for the next request, and cleared away after a crash.

A segment is a file of /dev/shm that its process owns; one without an owner is removed when the next client starts.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import weakref
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from tritonforge.client.tensors.wire import Array
from tritonforge.owned_files import abandoned_files, make_owned_file

__all__ = ["PREFIX", "Segment", "abandoned", "remove"]

PREFIX = "tritonforge_client_"
_FOLDER = Path("/dev/shm")


class Segment:
    """A segment that this process owns: `size` bytes, known to the server by `name`, to shm_open by `/name`."""

    __slots__ = ("__weakref__", "_file", "_memory", "_removal", "address", "array", "name", "size")

    def __init__(self, size: int) -> None:
        """Make it, its memory reserved. Raise OSError where /dev/shm is not there, or too full."""
        self.size = size
        self.name, self._file = make_owned_file(_FOLDER, PREFIX)
        path = _FOLDER / self.name
        try:
            os.posix_fallocate(self._file, 0, size)  # else a full /dev/shm ends the process with SIGBUS, at a write
            self._memory = mmap.mmap(self._file, size)
        except BaseException:
            path.unlink(missing_ok=True)
            os.close(self._file)
            raise
        self.array: Array = np.frombuffer(self._memory, np.uint8)
        self.address: int = self.array.__array_interface__["data"][0]
        self._removal = weakref.finalize(self, _remove_own, path, self._file, os.getpid())
        if (ends := sys.modules.get("multiprocessing.util")) is not None:  # whose forked children end without atexit
            ends.Finalize(self, self._removal, exitpriority=0)

    def lend(self) -> ctypes.Array[ctypes.c_char]:
        """Give a new object for its memory, which lives as long as any view of it: whoever lends it can tell when."""
        # Views of a NumPy array would not do: they refer to the first owner of the memory, past that array.
        return (ctypes.c_char * self.size).from_buffer(self._memory)

    def close(self) -> None:
        """Remove the segment; arrays that lie in it stay readable."""
        self._removal()

    def discard(self) -> None:
        """Remove a segment in which no array lies any more, with its memory: whoever keeps it keeps an empty one.

        So does a caller who keeps the error of a call, and with it all that the call's functions had at hand.
        """
        self.close()
        self.array = np.empty(0, np.uint8)
        with suppress(BufferError):  # another thread looks at it: its memory goes with the last view
            self._memory.close()


def abandoned() -> Iterator[str]:
    """Give the names of segments whose owners are gone, each locked until the next: remove it before that."""
    return abandoned_files(_FOLDER, PREFIX)


def remove(name: str) -> None:
    """Remove a segment, if it is still there."""
    with suppress(OSError):
        (_FOLDER / name).unlink()


def _remove_own(path: Path, file: int, owner: int) -> None:
    if os.getpid() == owner:  # a forked child has them too, but doesn't own them
        path.unlink(missing_ok=True)
    os.close(file)
