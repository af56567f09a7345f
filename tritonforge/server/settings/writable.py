"""Folders that a server needs to write to: whether they can be, and what is said where they can't."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tritonforge.errors import Diagnostic, Where
from tritonforge.repository_files import DISK_FULL
from tritonforge.server.errors import PreflightError

__all__ = ["needing_room", "state_unusable", "why_unwritable"]

_RECORD = 1 << 13
"""Bytes: about what a server's record takes."""

_NUMBER = re.compile(r"\[Errno (\d+)\]")


def why_unwritable(folder: Path) -> OSError | None:
    """Try whether a folder can be made and written to, and leave nothing; give what is in the way."""
    there = next(above for above in (folder, *folder.parents) if above.exists())
    try:
        with tempfile.TemporaryDirectory(prefix=".tritonforge-", dir=there) as made:
            (Path(made) / "record").write_bytes(bytes(_RECORD))  # a full disk may still have room for a folder
    except OSError as error:
        return error
    return None


def state_unusable(folder: Path, error: OSError) -> Diagnostic:
    """Say that the state folder can't be made or written to."""
    reason = error.strerror or error
    message = f"`up` keeps a record of each server there, for status, logs and down, and can't: {reason}"
    return Diagnostic("TF514", Where(str(folder)), message, "set XDG_STATE_HOME to a folder that you can write to")


@contextmanager
def needing_room(folder: Path) -> Iterator[None]:
    """Say of files that are put into a folder of temporary ones in the block that they have no room there.

    Raises:
        PreflightError: the disk is full, or the user's share of it.
    """
    try:
        yield
    except OSError as error:
        number = _number(error)
        if number not in DISK_FULL:
            raise
        message = f"there is no room for what a server needs in temporary files: {os.strerror(number)}"
        hint = "free some space, or set TMPDIR to another disk's folder"
        raise PreflightError([Diagnostic("TF515", Where(str(folder)), message, hint)]) from error


def _number(error: OSError) -> int:
    """Give an error's number; of a tree that wasn't copied (`shutil.Error`) the first that its text has."""
    found = None if error.errno else _NUMBER.search(str(error))
    return int(found[1]) if found else error.errno or 0
