"""The server on the first processor, whoever loads it on the second: neither takes time from the other."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import psutil

__all__ = ["apart"]


@contextlib.contextmanager
def apart(server_pid: int) -> Iterator[None]:
    """Keep a server's processes, and this one with what it starts, apart while the block runs."""
    ours = os.sched_getaffinity(0)
    first, second, *_ = sorted(ours)
    server = psutil.Process(server_pid)
    there = [server.pid, *(process.pid for process in server.children(recursive=True))]
    _pin(there, {first})
    os.sched_setaffinity(0, {second})
    try:
        yield
    finally:
        os.sched_setaffinity(0, ours)
        _pin(there, ours)


def _pin(pids: list[int], processors: set[int]) -> None:
    for pid in pids:
        for thread in psutil.Process(pid).threads():
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(thread.id, processors)
