"""What a launcher and its supervisor left that were killed at one moment: found and removed by whoever starts next.

A workspace's folder is locked (`hold`) by both of them, as long as one lives. One that nobody holds is abandoned. It
has a list of the folders elsewhere that go with it (`note`), and its path is in the environment of all processes that
were started from it, its name in the names of their shared memory.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from tritonforge.server.errors import ServerError
from tritonforge.server.guard.supervisor import hold, kill, remove

__all__ = ["MARK", "hold_new", "note", "sweep_abandoned"]

MARK = "TRITONFORGE_WORKSPACE"
"""The variable by which processes that were started from a workspace are known."""

_NAME = re.compile(r"tritonforge-([0-9a-f]{16})")
_OWNED = ".owned"
_CONTAINER = "guarding"
"""What a container's guard puts there (`docker_container.READY`)."""

_GIVE_UP_S = 10.0


def hold_new(folder: Path) -> int:
    """Make a workspace's folder, and hold it; give the descriptor that does, to be closed at the end."""
    while True:
        folder.mkdir(mode=0o700)
        with contextlib.suppress(FileNotFoundError):
            descriptor = hold(str(folder))
            (folder / _OWNED).touch()
            if os.fstat(descriptor).st_nlink:
                return descriptor
            os.close(descriptor)  # it was swept before it was held


def note(folder: Path, other: Path) -> None:
    """Note that another folder goes with a workspace's."""
    with (folder / _OWNED).open("a") as file:
        file.write(f"{other}\n")


def sweep_abandoned(temporary: Path) -> None:
    """Remove what is left of workspaces in a folder for temporary files that nobody holds, if they are this user's."""
    with contextlib.suppress(OSError):
        for name in os.listdir(temporary):
            if _NAME.fullmatch(name):
                with contextlib.suppress(OSError):
                    _sweep(temporary / name)


def _sweep(folder: Path) -> None:
    """Remove one workspace's remains, unless it is held or another user's."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if not (folder / _OWNED).exists():  # it is being made, or another version's, which doesn't hold it
            return
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if (folder / _CONTAINER).exists():
            from tritonforge.server.docker.leftovers import remove_launched

            remove_launched(_token(folder))
        _end_processes(folder)
        remove([*_owned(folder), str(folder)], f"{folder.name}-")
    except (BlockingIOError, ServerError):  # it is held; or there may be a container, and no daemon answers
        return
    finally:
        os.close(descriptor)


def _token(folder: Path) -> str:
    return folder.name.removeprefix("tritonforge-")


def _owned(folder: Path) -> Iterator[str]:
    """Read which folders go with a workspace's; their names have the beginning of its token."""
    token = _token(folder)[:8]
    with contextlib.suppress(OSError):
        for line in (folder / _OWNED).read_text().splitlines():
            if token in Path(line).name:
                yield line


def _end_processes(folder: Path) -> None:
    """Kill what was started from a workspace and is still there: models' processes may wait for their server."""
    deadline = time.monotonic() + _GIVE_UP_S
    mark = f"{MARK}={folder}".encode()
    while (found := list(_processes(mark))) and time.monotonic() < deadline:
        kill(found)
        time.sleep(0.002)


def _processes(mark: bytes) -> Iterator[int]:
    """Find the processes that have a variable in their environment; zombies have none."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in path.read_bytes().split(b"\0"):
                yield int(path.parent.name)
