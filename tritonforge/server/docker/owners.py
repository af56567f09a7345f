"""Whose something in Docker is: a process, by its machine too, so that what a killed one left is told from the rest.

A daemon may serve several machines, and containers that have ids of processes of their own.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from tritonforge.server.state.process_identity import ProcessIdentity, identify

__all__ = ["has_ended", "name_owner"]

_NAMESPACE = Path("/proc/self/ns/pid")


def name_owner(pid: int) -> str:
    """Give the text for a label that tells a process from all others, also elsewhere; empty of one that is gone."""
    process = identify(pid)
    return "" if process is None else ".".join([process.boot, _namespace(), str(process.pid), str(process.started)])


def has_ended(owner: str) -> bool:
    """Tell whether the process of such a text has ended; of another machine's, or container's, nobody knows."""
    mine, parts = identify(os.getpid()), owner.split(".")
    if mine is None or len(parts) != 4 or parts[:2] != [mine.boot, _namespace()]:
        return False
    boot, _, pid, started = parts
    return not ProcessIdentity(int(pid), int(started), boot).alive()


def _namespace() -> str:
    """Tell in which namespace ids of processes are."""
    with suppress(OSError):
        return str(_NAMESPACE.stat().st_ino)
    return ""
