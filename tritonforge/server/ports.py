"""TCP ports: which are free, who holds one, which ones a process listens on."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

__all__ = ["LISTEN_ON", "address_of", "bind_error", "free_ports", "holder", "listening", "unknown_host"]

LISTEN_ON = "listen on 127.0.0.1 (this machine only) or 0.0.0.0 (everywhere): --host or TRITONFORGE_HOST"
"""What to do about a host that is none."""

_LISTEN = "0A"
_SHOWN = 80
"""How much of a command line is shown."""
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


def address_of(host: str) -> str:
    """Give the IPv4 address of a name; an address is its own.

    Raises:
        OSError: it is neither.
    """
    return str(socket.getaddrinfo(host, None, socket.AF_INET)[0][4][0])


def unknown_host(host: str) -> str:
    """Say what keeps a host from being one to listen on; empty where it is an IPv4 address or the name of one."""
    try:
        address_of(host)
    except (OSError, UnicodeError) as error:  # a label of a name that is too long, or empty, has no encoding
        reason = error.strerror if isinstance(error, OSError) else "no name can be like that"
        return f"is not an IPv4 address or a known name: {reason}"
    return ""


def free_ports(host: str, count: int) -> list[int]:
    """Find ports of `host` that are free now, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) for _ in range(count)]
        for each in sockets:
            each.bind((host, 0))
        return [int(each.getsockname()[1]) for each in sockets]


def bind_error(host: str, port: int) -> OSError | None:
    """Try to listen on a port, and give the error where that fails: the port is taken, or not allowed."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free, as for Triton
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            return error
    return None


def holder(port: int) -> str:
    """Name the process that listens on a port: "process 123 (python -m http.server)"; "another process" if unseen.

    Only processes of the same user can be seen, except by root.
    """
    wanted = {inode for listened, inode in _listeners() if listened == port}
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and wanted & set(_sockets(process)):
            command = (process / "cmdline").read_bytes().decode(errors="replace")
            return f"process {process.name} ({_in_a_line(command) or 'unknown'})"
    return "another process"


def listening(pid: int) -> set[int] | None:
    """Give the ports that a process listens on; None where the system doesn't tell."""
    if not any(table.exists() for table in _TABLES):
        return None
    sockets = set(_sockets(Path("/proc") / str(pid)))
    return {port for port, inode in _listeners() if inode in sockets}


def _in_a_line(command: str) -> str:
    """Show the beginning of a command line, whose arguments may hold lines and control characters."""
    words = "".join(letter if letter.isprintable() else " " for letter in command).split()
    shown = " ".join(words)
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"


def _listeners() -> Iterator[tuple[int, str]]:
    """Read every listening TCP socket: its port and inode."""
    for table in _TABLES:
        with contextlib.suppress(OSError):
            for line in table.read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN:
                    yield int(fields[1].rpartition(":")[2], 16), fields[9]


def _sockets(process: Path) -> Iterator[str]:
    """Read the inodes of a process's sockets; none of one that is gone or another user's."""
    with contextlib.suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                target = os.readlink(descriptor)
                if target.startswith("socket:["):
                    yield target[len("socket:[") : -1]
