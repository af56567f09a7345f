"""The addresses of a host's name, within a deadline."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Sequence
from typing import Any

from tritonforge.client.deadline import Deadline

__all__ = ["Address", "numeric", "resolve"]

Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]
"""What socket.getaddrinfo gives: family, kind, protocol, canonical name, and what connect() takes."""


def numeric(host: str, port: int) -> Sequence[Address]:
    """Read a numeric address, which is looked up nowhere; give none of a name."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return ()


def resolve(host: str, port: int, deadline: Deadline) -> Sequence[Address]:
    """Look a name up. Raise OSError where it has no address, TimeoutError past the deadline.

    The system's look-up has limits of its own only, of up to a minute; so it runs in a thread beside, which is left to
    itself where it takes too long. A numeric address needs none.
    """
    if addresses := numeric(host, port):
        return addresses
    found: queue.SimpleQueue[Sequence[Address] | OSError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            found.put(error)
        except UnicodeError as error:  # a label too long for the DNS
            found.put(socket.gaierror(socket.EAI_NONAME, str(error)))

    threading.Thread(target=look_up, name="tritonforge-resolve", daemon=True).start()
    try:
        answer = found.get(timeout=deadline.left_s())
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, OSError):
        raise answer
    return answer
