"""The connections of an event loop that calls share: a few calls to one, and more connections for more calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tritonforge.client.connections.sockets import connecting
from tritonforge.client.deadline import Deadline
from tritonforge.client.grpc.async_connection import UPLOAD_SHARE, AsyncGrpcConnection

__all__ = ["SharedConnections"]

_SHARE = UPLOAD_SHARE
"""Calls of one connection, before another is opened: their bytes come and go together, and it isn't all of the load."""


class SharedConnections:
    """Connections in the order in which they were opened; the first that has room takes a call."""

    def __init__(self, connect: Callable[[Deadline], Awaitable[AsyncGrpcConnection]], most: int) -> None:
        """`connect` raises OSError where nothing listens, TimeoutError past the deadline."""
        self._connect = connect
        self._most = most
        self._all: list[AsyncGrpcConnection] = []
        self._opening: asyncio.Future[None] | None = None

    def pick(self, size: int) -> AsyncGrpcConnection | None:
        """Find a connection with room for a call with a message of so many bytes: one without calls for a large one."""
        for connection in self._all:
            if connection.usable and connection.busy < _SHARE and connection.fits(size):
                return connection
        return None

    async def open(self, size: int, deadline: Deadline) -> AsyncGrpcConnection | None:
        """Find a connection or open one; None where all are full, and no more may be.

        One at a time is opened: calls that start together wait for it, and share it. They go on in one turn of the
        loop: one after another, they would be overtaken by all that come later. Raise OSError or TimeoutError.
        """
        with connecting(deadline) as limit:
            while self._opening is not None:
                await asyncio.wait([self._opening], timeout=limit.left_s())
                connection = self.pick(size)
                if connection is not None:
                    return connection
            self._all = [each for each in self._all if each.usable]
            if len(self._all) < self._most:
                connection = await self._open(limit)
                if not connection.full:
                    self._all.append(connection)
                    return connection
                connection.close()  # it takes less than others do
        taking = [each for each in self._all if not each.full]
        return min(taking, key=lambda each: each.busy, default=None)

    async def _open(self, limit: Deadline) -> AsyncGrpcConnection:
        self._opening = opening = asyncio.get_running_loop().create_future()
        try:
            return await self._connect(limit)
        finally:
            self._opening = None
            opening.set_result(None)

    def renew(self) -> None:
        """Use none of the connections any more; those without calls are closed."""
        for connection in self._all:
            connection.retire()
        self._all = []

    def close(self) -> None:
        """Close all connections: calls under way fail."""
        for connection in self._all:
            connection.close()
        self._all = []
