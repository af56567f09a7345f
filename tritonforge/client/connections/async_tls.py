"""Connections over TLS for event loops, of which a refusal is read, however early it comes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from tritonforge.client.connections.resolving import numeric
from tritonforge.client.http.connection import Route

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Buffer

__all__ = ["open_tls"]

P = TypeVar("P", bound=asyncio.BaseProtocol)


async def open_tls(make: Callable[[], P], route: Route) -> tuple[asyncio.Transport, P]:
    """Connect to the first address of the host that answers, over TLS. Raise OSError."""
    loop = asyncio.get_running_loop()
    connected = await _connect(loop, route)
    return await loop.create_connection(make, sock=connected, ssl=route.context, server_hostname=route.server_name)


async def _connect(loop: asyncio.AbstractEventLoop, route: Route) -> socket.socket:
    found = numeric(route.host, route.port)
    found = found or await loop.getaddrinfo(route.host, route.port, type=socket.SOCK_STREAM)
    failure = OSError("the name has no address")
    for family, kind, protocol, _, address in found:
        connection = _ReadToTheEnd(family, kind, protocol)
        try:
            connection.setblocking(False)
            await loop.sock_connect(connection, address)
        except OSError as error:
            connection.close()
            failure = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise failure


class _ReadToTheEnd(socket.socket):
    """A socket that takes what is written, for nothing, once the peer has left; reading meets the end.

    Where a write fails, asyncio gives the connection up and reads no more (CPython 3.12). With TLS 1.3 a server
    refuses a certificate after the client's handshake is over: its words may lie here unread as the request is written.
    """

    def send(self, data: Buffer, flags: int = 0, /) -> int:
        try:
            return super().send(data, flags)
        except (BrokenPipeError, ConnectionResetError):
            return memoryview(data).nbytes

    def sendmsg(self, buffers: Iterable[Buffer], /, *_: object) -> int:
        pieces = list(buffers)
        try:
            return super().sendmsg(pieces)
        except (BrokenPipeError, ConnectionResetError):
            return sum(memoryview(piece).nbytes for piece in pieces)
