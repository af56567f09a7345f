"""The memory of a running server's processes: its own, and what of /dev/shm they have mapped."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["MIB", "Memory", "measure"]

MIB = 2**20


@dataclass(frozen=True)
class Memory:
    """One process, in bytes: resident, its share of what it maps (PSS), and what is its own alone (USS)."""

    name: str
    rss: int
    pss: int
    uss: int


def measure(pid: int) -> tuple[list[Memory], int]:
    """Measure a server and its stubs, by the model that each serves; and the /dev/shm that they have mapped, in bytes.

    The figures are /proc/PID/smaps_rollup's: `Rss`, `Pss`, and `Private_Clean` + `Private_Dirty` for USS.
    """
    server = psutil.Process(pid)
    found: list[Memory] = []
    regions: set[str] = set()
    for process in (server, *server.children(recursive=True)):
        with suppress(psutil.NoSuchProcess, OSError):
            found.append(_memory(process))
            regions |= _shared_regions(process.pid)
    return found, sum(map(_size, regions))


def _memory(process: psutil.Process) -> Memory:
    fields = dict.fromkeys(("Rss", "Pss", "Private_Clean", "Private_Dirty"), 0)
    for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
        key, _, rest = line.partition(":")
        if key in fields:
            fields[key] = int(rest.split()[0]) * 1024
    own = fields["Private_Clean"] + fields["Private_Dirty"]
    return Memory(_name(process.cmdline()), fields["Rss"], fields["Pss"], own)


def _name(command: list[str]) -> str:
    """Name a stub after its model: its command line has `<repository>/<model>/<version>/model.py`."""
    file = next((Path(part) for part in command if part.endswith(".py")), None)
    return "server" if file is None else file.parent.parent.name


def _shared_regions(pid: int) -> set[str]:
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {line.split(maxsplit=5)[5] for line in lines if "/dev/shm/" in line}


def _size(region: str) -> int:
    with suppress(OSError):
        return os.stat(region).st_blocks * 512
    return 0
