"""Shared memory segments of a load: made, and cleared away after a run that was killed.

A segment is a file of /dev/shm that its process owns. The client's own are the same.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tritonforge.owned_files import abandoned_files, make_owned_file

__all__ = ["Segment", "clear_abandoned", "ownerless"]

_PREFIX = "tritonforge_perf_"
_FOLDER = Path("/dev/shm")


class Segment:
    """A segment that this process owns: known to a server by `name`, to shm_open by `/name`."""

    def __init__(self, size: int) -> None:
        """Make it, its memory reserved. Raise OSError where /dev/shm is not there, or too full."""
        self.name, self._file = make_owned_file(_FOLDER, _PREFIX)
        self._path = _FOLDER / self.name
        try:
            os.posix_fallocate(self._file, 0, size)  # else a full /dev/shm ends the process with SIGBUS, at a write
            self.memory = mmap.mmap(self._file, size)
        except BaseException:
            self._path.unlink(missing_ok=True)
            os.close(self._file)
            raise

    def close(self) -> None:
        """Remove it."""
        self.memory.close()
        self._path.unlink(missing_ok=True)
        os.close(self._file)


def clear_abandoned() -> None:
    """Remove the segments whose owners are gone."""
    for name in abandoned_files(_FOLDER, _PREFIX):
        with suppress(OSError):
            (_FOLDER / name).unlink()


def ownerless(names: Iterable[str]) -> list[str]:
    """List those of a server's regions that are a load's, and whose segments are gone."""
    return [name for name in names if name.startswith(_PREFIX) and not (_FOLDER / name).exists()]
