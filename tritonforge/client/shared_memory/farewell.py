"""Clients that a program leaves open: as it ends, their servers let go of the shared memory that they have mapped."""

from __future__ import annotations

import atexit
import weakref
from contextlib import suppress

from tritonforge.client.concurrency.blocking import finish
from tritonforge.client.errors import ClientError
from tritonforge.client.shared_memory.transport import SharedMemoryTransport

__all__ = ["close_at_exit"]

_OPEN: weakref.WeakSet[SharedMemoryTransport] = weakref.WeakSet()


def close_at_exit(transport: SharedMemoryTransport) -> None:
    """Have a transport that blocks closed as the program ends, if it lives and a server knows memory of it then."""
    _OPEN.add(transport)
    atexit.unregister(_close)
    atexit.register(_close)  # it comes before what has been registered by now, such as the end of grpcio


def _close() -> None:
    for transport in [*_OPEN]:
        if transport.arena.told and transport.arena.own:
            with suppress(ClientError, OSError, RuntimeError):  # the next client sees to what is left
                finish(transport.close())
