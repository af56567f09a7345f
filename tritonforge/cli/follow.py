"""Showing a log file as it grows."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tritonforge.server.diagnosis.follow import follow_file

__all__ = ["following"]

_INTERVAL_S = 0.1


@contextmanager
def following(path: Path) -> Iterator[None]:
    """Copy a file to standard error as it grows, for the block; it may not be there yet, or be removed meanwhile."""
    done = threading.Event()
    thread = threading.Thread(target=_follow, args=(path, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _follow(path: Path, done: threading.Event) -> None:
    while not path.exists():
        if done.wait(_INTERVAL_S):
            return
    with path.open("rb") as file:
        for piece in follow_file(file.fileno(), ended=done.is_set):
            sys.stderr.write(piece)
            sys.stderr.flush()
