"""Files of a repository, which may come from elsewhere: what is no file, or has no end, is not read."""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import suppress
from pathlib import Path

__all__ = ["DISK_FULL", "circular_links", "dead_links", "read_bytes", "read_text", "stub_safe"]

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
"""The numbers of an OSError that say that a disk, or the user's share of it, has no room."""
_MOST = 64 << 20
"""Bytes: more than any configuration, manifest, code or list of labels has."""


def read_bytes(file: Path, *, at_most: int = _MOST) -> bytes:
    """Read a file of a repository whole.

    A pipe would be waited for, and a device read, or set in motion, for ever.

    Raises:
        OSError: it isn't there, is no regular file, has more bytes than `at_most`, …
    """
    _check(os.stat(file), file, at_most)
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # another file may be there by now
    with open(descriptor, "rb") as opened:
        _check(os.fstat(descriptor), file, at_most)
        content = opened.read(at_most + 1)
    if len(content) > at_most:
        raise _too_large(file, at_most)
    return content


def read_text(file: Path, *, errors: str = "strict") -> str:
    """Read a file of UTF-8; see `read_bytes`. What `errors` does to others is as in `bytes.decode`.

    Raises:
        OSError: as `read_bytes` does.
        UnicodeDecodeError: it is no UTF-8.
    """
    return read_bytes(file).decode("utf-8", errors).replace("\r\n", "\n")


def dead_links(folder: Path) -> tuple[str, ...]:
    """Name the links in a folder that lead nowhere, or to themselves.

    Raises:
        OSError: the folder can't be read.
    """
    with os.scandir(folder) as entries:
        return tuple(sorted(each.name for each in entries if each.is_symlink() and not os.path.exists(each.path)))


def circular_links(model: Path) -> tuple[str, ...]:
    """Name the links below a model's folder that lead to a folder that they lie in, by their paths in it.

    Triton (24.10) follows each for the times of the model's files: one to the model itself until no path may be longer,
    several, or one to a folder with much in it, practically for ever. Of other links, those to versions are followed.
    """
    found = []
    waiting: list[tuple[str, str, tuple[str, ...]]] = [("", os.path.realpath(model), ())]
    for below, folder, through in waiting:  # grows while it is walked
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                path = below + entry.name
                if entry.is_symlink():
                    target = os.path.realpath(entry.path)
                    if any(_is_in(place, target) for place in (folder, *through)):
                        found.append(path)
                    elif not below and os.path.isdir(target):
                        waiting.append((f"{path}/", target, (folder,)))
                elif entry.is_dir():
                    waiting.append((f"{path}/", entry.path, through))
    return tuple(sorted(found))


def _is_in(place: str, folder: str) -> bool:
    return f"{place}/".startswith(f"{folder.rstrip('/')}/")


def stub_safe(path: str) -> bool:
    """Tell whether the Python backend can start a model from a path, or a folder of this name.

    It writes the path into a line for a shell (24.10): with a space in it the stub dies, and the server may wait for
    ever. The stub's Python has the locale C, in which it can spell no more than ASCII.
    """
    return re.fullmatch(r"[\w@%+=:,./-]+", path, re.ASCII) is not None


def _check(status: os.stat_result, file: Path, at_most: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        is_folder = stat.S_ISDIR(status.st_mode)
        raise OSError(
            errno.EISDIR if is_folder else errno.EINVAL,
            os.strerror(errno.EISDIR) if is_folder else "it is not a regular file",
            str(file),
        )
    if status.st_size > at_most:
        raise _too_large(file, at_most)


def _too_large(file: Path, at_most: int) -> OSError:
    return OSError(errno.EFBIG, f"it has more than {at_most >> 20} MiB", str(file))
