"""Processor time that is burnt beside a generator which takes less than another one: both then leave the server alike.

At a fixed rate on processors that are shared, a generator that takes less of them has a quicker server. So each figure
is also held against the other tool's with what ours lacks burnt by a process of its own, in the same small pieces.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator

__all__ = ["burdened"]

_PIECES_A_LOOK = 256


@contextlib.contextmanager
def burdened(rate: float, request_us: float) -> Iterator[None]:
    """Burn so many µs at each of `rate` moments a second while the block runs."""
    command = [sys.executable, __file__, str(rate), str(request_us), str(os.getpid())]
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _burn(rate: float, request_us: float, parent: int) -> None:
    """Burn at absolute times, and up to what is due of this process's own time; end with the parent."""
    started, used_ns, piece = time.perf_counter(), time.process_time_ns(), 0
    while piece % _PIECES_A_LOOK or os.getppid() == parent:
        piece += 1
        left_s = started + piece / rate - time.perf_counter()
        if left_s > 0:
            time.sleep(left_s)
        due_ns = used_ns + int(piece * request_us * 1000)
        while time.process_time_ns() < due_ns:
            pass


if __name__ == "__main__":
    _burn(float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
