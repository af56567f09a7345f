"""How a load is shared among the generator's processes, and whether each may open the connections of its share."""

from __future__ import annotations

import resource
from pathlib import Path

from tritonforge.load.errors import InvalidLoad
from tritonforge.load.settings import Load, Settings

__all__ = ["check_connections", "most_processes", "share_of"]

_OWN = 64
"""Files that a process has open beside its connections, at most."""
_LANES = 64
"""Requests that share a connection of gRPC."""
_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")


def most_processes(load: Load, settings: Settings) -> int:
    """Give how many of the processes have a share of a load: none is without a request."""
    concurrency = int(load.value) if load.kind == "concurrency" else 0
    most = (settings.processes, concurrency, settings.requests, len(settings.times_s) if load.given else 0)
    return min(count for count in most if count)


def share_of(total: int, part: int, parts: int) -> int:
    """Give what the `part`-th of so many has of a whole number."""
    return total // parts + (part < total % parts)


def check_connections(load: Load, settings: Settings) -> None:
    """Raise InvalidLoad where this machine doesn't let a load have its connections: files in a process, and ports."""
    lanes = int(load.value) if load.kind == "concurrency" else settings.max_in_flight
    parts = most_processes(load, settings)
    together = lanes if settings.protocol == "http" else -(-lanes // _LANES)
    needed = -(-together // parts) + _OWN
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    what = f"{load} has {together} connections"
    ports = _ports()
    if together > ports:
        raise InvalidLoad(
            f"{what}, and this machine has {ports} ports for those to one server (net.ipv4.ip_local_port_range)"
        )
    if limit != resource.RLIM_INFINITY and needed > limit:
        enough = -(-together // max(limit - _OWN, 1))
        raise InvalidLoad(
            f"{what}, for which a process needs {needed} open files, and may have {limit}: raise that (ulimit -n), or "
            f"share them among several: processes={enough}"
        )


def _ports() -> int:
    try:
        first, last = map(int, _PORTS.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return 1 << 16
    return last - first + 1
