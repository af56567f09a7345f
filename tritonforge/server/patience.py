"""Waiting without an end, and hearing each signal: Python's handlers run once the main thread comes back from a wait.

A signal brings it back only by interrupting the wait itself. One that another thread takes doesn't, as the kernel may
choose after a Ctrl-Z (SIGSTOP, SIGCONT), nor does one that comes just before. So no wait is longer than a step.
"""

from __future__ import annotations

import math
import select
import subprocess
import time
from contextlib import suppress

__all__ = ["await_end", "await_readable"]

_STEP_S = 0.2


def await_end(process: subprocess.Popen[bytes], timeout_s: float | None = None) -> int | None:
    """Wait for a process to end, and give its exit code; None if the time was up first."""
    deadline = time.monotonic() + (math.inf if timeout_s is None else timeout_s)
    while True:
        left_s = max(0.0, deadline - time.monotonic())
        with suppress(subprocess.TimeoutExpired):
            return process.wait(min(_STEP_S, left_s))
        if left_s <= _STEP_S:
            return None


def await_readable(descriptor: int) -> None:
    """Wait until there is something to read from a descriptor, or its other end is closed."""
    while not select.select([descriptor], [], [], _STEP_S)[0]:
        pass
