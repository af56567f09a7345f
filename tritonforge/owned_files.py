"""Files that a process owns as long as it runs: what a killed one leaves is told from what is in use.

The owner holds a lock (flock), which ends with the process however it ends, in whatever PID namespace it ran. So a file
that can be locked has no owner left.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["abandoned_files", "make_owned_file"]


def make_owned_file(folder: Path, prefix: str) -> tuple[str, int]:
    """Make a file that is locked; give its name and the open file, which is to stay open. Raise OSError."""
    while True:
        name = f"{prefix}{os.getpid()}_{secrets.token_hex(6)}"
        file = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)  # another process, which clears away, may hold it for a moment
            if os.fstat(file).st_nlink:  # else that one took it for abandoned, before it was locked
                return name, file
        except BaseException:
            (folder / name).unlink(missing_ok=True)
            os.close(file)
            raise
        os.close(file)


def abandoned_files(folder: Path, prefix: str) -> Iterator[str]:
    """Give the names of files whose owners are gone, each locked until the next: remove it before that."""
    try:
        names = [name for name in os.listdir(folder) if name.startswith(prefix)]
    except OSError:
        return
    for name in names:
        with suppress(OSError):  # somebody else's, or gone meanwhile; BlockingIOError where it has its owner
            file = os.open(folder / name, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield name
            finally:
                os.close(file)
