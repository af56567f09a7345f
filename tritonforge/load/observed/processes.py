"""The server's processes, where they run on this machine: found by the port, read from /proc."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tritonforge.load.observed.gpu import Gpu, read_gpu
from tritonforge.load.pacing.clock import NS, now_ns
from tritonforge.load.results import ServerProcesses

__all__ = ["Usage", "between", "find_server", "usage"]

_LISTEN = "0A"
_TICK_NS = NS // os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Usage:
    """What the processes have used at a moment."""

    at_ns: int
    cpu_ns: dict[int, int]
    memory_bytes: int
    shm_bytes: int
    gpu: Gpu | None = None


def find_server(host: str, port: int) -> int | None:
    """Find the process that listens on a port of this machine; None where it isn't here or may not be looked at."""
    if not _is_local(host):
        return None
    inodes = {line[9] for line in _sockets() if line[3] == _LISTEN and int(line[1].rpartition(":")[2], 16) == port}
    wanted = {f"socket:[{inode}]" for inode in inodes}
    holders = [pid for pid in _processes() if wanted & set(_links(pid))]
    return min(holders, default=None)


def usage(server: int) -> Usage:
    """Add up the server and all processes below it."""
    pids = _tree(server)
    cpu, memory, shm = {}, 0, set()
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            cpu[pid] = (int(fields[11]) + int(fields[12])) * _TICK_NS
            shared = Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()
            memory += (int(shared[1]) - int(shared[2])) * _PAGE
            shm |= set(_mapped(pid))
        except (OSError, ValueError, IndexError):
            continue
    at_ns = now_ns()
    return Usage(at_ns, cpu, memory, sum(_size(name) for name in shm), read_gpu(set(pids)))


def between(before: Usage, after: Usage) -> ServerProcesses:
    """Give the mean CPU between two moments, memory at the later, and the mean of the GPU's two readings."""
    spent = sum(cpu - before.cpu_ns.get(pid, 0) for pid, cpu in after.cpu_ns.items())
    told = [used.gpu.utilization for used in (before, after) if used.gpu is not None]
    busy = [share for share in told if share is not None]
    elapsed_ns = max(after.at_ns - before.at_ns, 1)
    return ServerProcesses(
        len(after.cpu_ns),
        spent / elapsed_ns,
        after.memory_bytes,
        after.shm_bytes,
        sum(busy) / len(busy) if busy else None,
        after.gpu.memory_bytes if after.gpu is not None else None,
        _TICK_NS / elapsed_ns,
    )


def _is_local(host: str) -> bool:
    try:
        addresses = {item[4][0] for item in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return any(ipaddress.ip_address(str(address).partition("%")[0]).is_loopback for address in addresses)


def _sockets() -> Iterator[list[str]]:
    for name in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/net/{name}").read_text(encoding="utf-8").splitlines()[1:]
        except OSError:
            continue
        yield from (line.split() for line in lines)


def _processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()] if os.path.isdir("/proc") else []


def _links(pid: int) -> list[str]:
    folder, links = f"/proc/{pid}/fd", []
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    for name in names:
        try:
            links.append(os.readlink(f"{folder}/{name}"))
        except OSError:
            continue
    return links


def _tree(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for pid in _processes():
        try:
            parent = int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        children.setdefault(parent, []).append(pid)
    found = [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


def _mapped(pid: int) -> Iterator[str]:
    for line in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines():
        _, found, name = line.partition("/dev/shm/")
        if found:
            yield name.partition(" (deleted)")[0]


def _size(name: str) -> int:
    try:
        return Path("/dev/shm", name).stat().st_size
    except OSError:
        return 0
