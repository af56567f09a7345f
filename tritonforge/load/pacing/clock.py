"""Time on one clock for all processes of a machine, and a timer that is finer than an event loop's."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable

__all__ = ["NS", "Alarm", "now_ns", "waited_ns"]

NS = 1_000_000_000
_ABSOLUTE = 1
_NONBLOCK = os.O_NONBLOCK
_PR_SET_TIMERSLACK = 29

now_ns: Callable[[], int] = time.monotonic_ns
"""CLOCK_MONOTONIC, which all processes share."""


def waited_ns() -> int:
    """Give how long this process's main thread was ready to run while others ran; 0 where the kernel doesn't count it.

    The second number of /proc/PID/schedstat (Documentation/scheduler/sched-stats).
    """
    try:
        with open("/proc/self/schedstat", "rb") as file:
            return int(file.read().split()[1])
    except (OSError, IndexError, ValueError):
        return 0


class _Spec(ctypes.Structure):
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("s", ctypes.c_long),
        ("ns", ctypes.c_long),
    )


class Alarm:
    """A timerfd: readable at an absolute time, to some ten microseconds. uvloop's own timers have milliseconds."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
        self.fd: int = self._libc.timerfd_create(time.CLOCK_MONOTONIC, _NONBLOCK)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._spec = _Spec()
        self._reference = ctypes.byref(self._spec)

    def set(self, when_ns: int) -> None:
        """Ring at a time on the clock of `now_ns`; at once where it has passed. The former setting is forgotten."""
        self._spec.s, self._spec.ns = divmod(max(when_ns, 1), NS)
        self._libc.timerfd_settime(self.fd, _ABSOLUTE, self._reference, None)

    def acknowledge(self) -> None:
        """Make it unreadable until it rings again."""
        try:
            os.read(self.fd, 8)
        except BlockingIOError:
            return

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.fd)
