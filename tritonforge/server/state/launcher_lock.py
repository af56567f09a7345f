"""A lock that a server's launcher has on its folder as long as it lives: the truth where its record can't be read."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

__all__ = ["ENDED", "LOCK", "hold_folder", "holder_of"]

ENDED = 0
"""In the place of a process id: the launcher has ended."""

LOCK = "launcher"
"""The file's name, in that folder."""


def hold_folder(folder: Path) -> None:
    """Lock a server's folder for this process, until its end; on a file system without locks it is left without."""
    file = folder / LOCK
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)  # open as long as this process lives
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:
        os.close(descriptor)
        file.unlink()
    else:
        os.write(descriptor, f"{os.getpid()}\n".encode())


def holder_of(folder: Path) -> int | None:
    """Give the id of the launcher that holds a folder, ENDED where it holds it no more, or None where none can tell."""
    try:
        with (folder / LOCK).open() as file, contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return ENDED
        return int((folder / LOCK).read_text())
    except (OSError, ValueError):
        return None
