"""Files that are made beside others, and take their place once they are whole.

Each is made in a folder of its own, on which its owner holds a lock (flock), which ends with the process however it
ends: a folder that can be locked was left by a run that was killed, and the next one beside it removes it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

__all__ = ["Replacement", "is_device", "is_replaced", "is_standard_output", "open_device"]

_PREFIX = ".tritonforge-part-"
_STANDARD = {"/dev/stdout": 1, "/dev/stderr": 2}
_KEEPS_ITS_PLACE = (errno.EBUSY, errno.EPERM, errno.EACCES)
"""What a file that is a mount's point says, and another's in a folder such as /tmp."""


class Replacement:
    """A file in the making, `part`, for the place that a path names; `folder` has room for what it is made of.

    What is at the path stays as it is until `put`. A link there stays, too: what it points to is replaced. The folder
    is removed at the end of the block.
    """

    def __init__(self, path: Path) -> None:
        """Make the folder beside the path's file, where that can be replaced. Raise OSError where there can be none."""
        self._path = path
        self._place = Path(os.path.realpath(path))
        self._replaces = is_replaced(path)
        if self._replaces:
            self._place.parent.mkdir(parents=True, exist_ok=True)
        self.folder, self._lock = _make(self._place.parent if self._replaces else Path(tempfile.gettempdir()))
        self.part = self.folder / "part"

    def __enter__(self) -> Replacement:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def put(self) -> None:
        """Have the part take the file's place, with its mode; or write it into what keeps its place."""
        if self._replaces and self._take_place():
            return
        with self.part.open("rb") as source, open_device(self._path) as sink:
            shutil.copyfileobj(source, sink)

    def _take_place(self) -> bool:
        if self._place.exists():
            shutil.copymode(self._place, self.part)
        try:
            self.part.replace(self._place)
        except OSError as error:
            if error.errno not in _KEEPS_ITS_PLACE:
                raise
            return False
        return True

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)


def is_device(path: Path) -> bool:
    """Tell of a device, a pipe, or a descriptor (`/dev/stdout`, `>(…)`), wherever that leads: no file has its place."""
    return _descriptor(path) is not None or (path.exists() and not path.is_file())


def is_standard_output(path: Path) -> bool:
    """Tell whether a path names this process's standard output: `/dev/stdout`."""
    return _descriptor(path) == _STANDARD["/dev/stdout"]


def is_replaced(path: Path) -> bool:
    """Tell whether a file may take the place of what is there; else that is written into, as far as it goes."""
    place = Path(os.path.realpath(path))
    return not is_device(path) and (not place.exists() or os.access(place.parent, os.W_OK))


def open_device(path: Path) -> BinaryIO:
    """Open what keeps its place for writing; a descriptor where it stands, so that nothing before it is lost."""
    descriptor = _descriptor(path)
    return path.open("wb") if descriptor is None else open(os.dup(descriptor), "wb")


def _descriptor(path: Path) -> int | None:
    """Give the number of a descriptor of this process that a path names."""
    name = os.path.abspath(path)
    if name in _STANDARD:
        return _STANDARD[name]
    folder, number = os.path.split(name)
    own = os.path.realpath(folder) == os.path.realpath("/proc/self/fd")
    return int(number) if own and number.isdecimal() and os.path.exists(name) else None


def _make(beside: Path) -> tuple[Path, int]:
    """Make a folder, and lock it; remove those that nobody holds any more."""
    _clear_abandoned(beside)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=beside))
        with suppress(FileNotFoundError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            with suppress(OSError):  # a file system that has no locks: nothing is removed there
                fcntl.flock(lock, fcntl.LOCK_EX)
            if os.fstat(lock).st_nlink:
                return folder, lock
            os.close(lock)  # removed before it was locked


def _clear_abandoned(beside: Path) -> None:
    with suppress(OSError):
        for name in os.listdir(beside):
            if name.startswith(_PREFIX):
                _clear(beside / name)


def _clear(folder: Path) -> None:
    with suppress(OSError):  # another user's, or gone meanwhile
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError where it has its owner
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)
