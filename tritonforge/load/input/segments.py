"""Shared memory segments of a load: made, and cleared away after a run that was killed.

A segment is a file of /dev/shm on which its owner holds a lock (flock), which ends with the process however it ends, in
whatever PID namespace it ran. So one that can be locked has no owner left. The client's own are the same.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

__all__ = ["Segment", "clear_abandoned", "ownerless"]

_PREFIX = "tritonforge_perf_"
_FOLDER = Path("/dev/shm")


class Segment:
    """A segment that this process owns: known to a server by `name`, to shm_open by `/name`."""

    def __init__(self, size: int) -> None:
        """Make it, its memory reserved. Raise OSError where /dev/shm is not there, or too full."""
        self.name, self._file = _make_file()
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
    with suppress(OSError):
        for name in os.listdir(_FOLDER):
            if name.startswith(_PREFIX):
                _clear(_FOLDER / name)


def ownerless(names: Iterable[str]) -> list[str]:
    """List those of a server's regions that are a load's, and whose segments are gone."""
    return [name for name in names if name.startswith(_PREFIX) and not (_FOLDER / name).exists()]


def _make_file() -> tuple[str, int]:
    """Make a segment's file, locked; give its name and the open file."""
    while True:
        name = f"{_PREFIX}{os.getpid()}_{secrets.token_hex(6)}"
        file = os.open(_FOLDER / name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)  # another load, which clears away, may hold it for a moment
            if os.fstat(file).st_nlink:  # else that one took it for abandoned, before it was locked
                return name, file
        except BaseException:
            (_FOLDER / name).unlink(missing_ok=True)
            os.close(file)
            raise
        os.close(file)


def _clear(path: Path) -> None:
    with suppress(OSError):  # somebody else's, or gone meanwhile
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError where it has its owner
            path.unlink()
        finally:
            os.close(file)
