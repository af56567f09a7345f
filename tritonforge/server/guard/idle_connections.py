"""Close a server's idle HTTP connections from outside: Triton would wait for them until its exit timeout (24.10).

Told to end, it first waits until no HTTP connection is left, idle ones too, which a client may keep for ever. The
kernel tells which those are. While an inference is under way, Triton doesn't watch its connection for input; while an
answer is being written, it watches it for output, or the system has bytes that the client hasn't confirmed; what has
come of a request came later than the last answer went out. Only an answer in several parts looks idle between two of
them: so nothing may be closed where a model streams. The kernel's clock for that has steps of some ms; a request that
began within the same step as the last answer went out counts as under way as long as it goes on coming.

Linux (5.6 or later), standard library alone; a system that lets no process take another's descriptors (pidfd_getfd)
has an OSError.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import socket
import struct
import termios
import time
from collections.abc import Iterator

__all__ = ["QUIET_MS", "close_idle"]

_PIDFD_GETFD = 438
"""The number of the system call, the same on all architectures."""

_WATCHED_FOR_INPUT, _WATCHED_FOR_OUTPUT = 0x1, 0x4
_TCP_INFO_SIZE, _LAST_SENT, _LAST_RECEIVED, _TOTALS = 136, 44, 52, 120
"""Of struct tcp_info, and where it has how many ms ago data was sent, and received; how much was, in all."""

QUIET_MS = 1000
"""How long nothing was under way on a connection that its client is taken to keep for nothing."""
_GONE_S = 0.2
"""How long the server may take to drop a connection that was closed."""


def close_idle(pid: int, port: int, *, quiet_ms: int = QUIET_MS) -> None:
    """Close the connections to a port of a process that are idle, and have been for so long; see them gone.

    With 0 it closes a connection between two requests, if it meets such a moment. Clients that call on and on confirm
    an answer with the next request, so the system may still have one to deliver, and does.

    Raises:
        OSError: the system doesn't allow it, or the process is gone.
    """
    watched = _watched(pid)
    closed = {}
    process = os.pidfd_open(pid)
    try:
        for descriptor, inode in _sockets(pid):
            with _taken(process, descriptor) as connection:
                if connection is None:
                    continue
                if _is_connection(connection, port) and _is_idle(connection, watched.get(descriptor, 0), quiet_ms):
                    connection.shutdown(socket.SHUT_RD)  # what is sent just now can still be answered
                    closed[descriptor] = inode
    finally:
        os.close(process)
    deadline = time.monotonic() + _GONE_S
    while closed.items() & set(_sockets(pid)) and time.monotonic() < deadline:
        time.sleep(0.005)


def _is_connection(connection: socket.socket, port: int) -> bool:
    """Tell whether a socket is one end of a TCP connection to the port."""
    if connection.family not in (socket.AF_INET, socket.AF_INET6) or connection.type != socket.SOCK_STREAM:
        return False
    try:
        return bool(connection.getpeername()) and connection.getsockname()[1] == port
    except OSError:  # it listens, or its client is gone
        return False


def _is_idle(connection: socket.socket, watched: int, quiet_ms: int) -> bool:
    """Tell whether nothing is under way on a connection, nor was lately, given what its server waits for on it."""
    if not watched & _WATCHED_FOR_INPUT or watched & _WATCHED_FOR_OUTPUT:
        return False
    unconfirmed = _count(connection, termios.TIOCOUTQ)
    if _count(connection, termios.FIONREAD) or (unconfirmed and quiet_ms):
        return False
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_SIZE)
    (sent_ms,) = struct.unpack_from("=I", info, _LAST_SENT)
    (received_ms,) = struct.unpack_from("=I", info, _LAST_RECEIVED)
    confirmed, received = struct.unpack_from("=QQ", info, _TOTALS)
    return bool(quiet_ms <= sent_ms <= received_ms and (confirmed or unconfirmed or not received))


def _count(connection: socket.socket, request: int) -> int:
    """Ask how many bytes the system has of a connection: unconfirmed ones, or such that weren't read."""
    (count,) = struct.unpack("i", fcntl.ioctl(connection, request, struct.pack("i", 0)))
    return int(count)


def _watched(pid: int) -> dict[int, int]:
    """Read which descriptors a process waits for (epoll), and what for."""
    found: dict[int, int] = {}
    for descriptor in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            if os.readlink(f"/proc/{pid}/fd/{descriptor}") == "anon_inode:[eventpoll]":
                with open(f"/proc/{pid}/fdinfo/{descriptor}", encoding="ascii") as file:
                    for line in file:
                        if line.startswith("tfd:"):
                            _, watched, _, events, *_ = line.split()
                            found[int(watched)] = found.get(int(watched), 0) | int(events, 16)
    return found


def _sockets(pid: int) -> Iterator[tuple[int, str]]:
    """Read a process's sockets: their descriptors and inodes."""
    for descriptor in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            target = os.readlink(f"/proc/{pid}/fd/{descriptor}")
            if target.startswith("socket:"):
                yield int(descriptor), target


@contextlib.contextmanager
def _taken(process: int, descriptor: int) -> Iterator[socket.socket | None]:
    """Have a socket of another process for the block; None where it has been closed."""
    libc = ctypes.CDLL(None, use_errno=True)
    own = libc.syscall(_PIDFD_GETFD, process, descriptor, 0)
    if own < 0 and ctypes.get_errno() == errno.EBADF:
        yield None
        return
    if own < 0:
        raise OSError(ctypes.get_errno(), "descriptors of other processes can't be had here")
    with socket.socket(fileno=own) as taken:
        yield taken
