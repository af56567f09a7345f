"""Unary calls over connections of our own, for both kinds of transport: what of gRPC needs no grpcio.

grpcio takes several times as long for a call as the call's bytes do (perf/bench_client.py --only floor). What is rare,
or hard, is left to it: compression, keepalive pings, streams, and all that isn't an inference.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import lru_cache, partial

from tritonforge.client.concurrency.loops import PerLoop
from tritonforge.client.connections.shared import SharedConnections
from tritonforge.client.deadline import Deadline
from tritonforge.client.grpc.answer import GrpcAnswer
from tritonforge.client.grpc.async_connection import connect
from tritonforge.client.grpc.connection import GrpcConnection
from tritonforge.client.grpc.credentials import grpc_context
from tritonforge.client.grpc.tending import TendedPool
from tritonforge.client.http.answer import Dropped, Leaving, Unsent
from tritonforge.client.http.connection import Route, route_to
from tritonforge.client.message import Buffer, Headers
from tritonforge.client.options import ConnectionOptions
from tritonforge.client.url import Endpoint
from tritonforge.hpack import encode_headers

__all__ = ["AsyncUnaryCalls", "CallFailed", "UnaryCalls", "takes"]

_CODES = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED"),
    *("INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)
"""gRPC's status codes by number: https://grpc.github.io/grpc/core/md_doc_statuscodes.html."""


_LARGEST = (1 << 32) - 1  # bytes of a message: its head has four for them
_REFUSALS = 2  # after these a call is left to grpcio, which has it wait until the server takes it


class CallFailed(Exception):
    """The server's answer is an error: `code` is gRPC's name of it."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(code, words)
        self.code = code
        self.words = words


def takes(options: ConnectionOptions) -> bool:
    """Tell whether calls with these settings are of the kind that is made here."""
    return not (options.compression or options.keepalive_s)


def _route(endpoint: Endpoint, options: ConnectionOptions) -> Route:
    return route_to(endpoint, options, grpc_context(options.tls) if endpoint.secure else None)


class UnaryCalls:
    """Calls of one procedure of a server, for any number of threads: each over a connection of its own."""

    def __init__(self, path: str, endpoint: Endpoint, options: ConnectionOptions) -> None:
        route = _route(endpoint, options)
        self._pool = TendedPool(partial(GrpcConnection, route), options.max_connections)
        self._blocks = lru_cache(maxsize=256)(lambda metadata: encode_headers(path, endpoint.authority, metadata or ()))

    def call(self, parts: Sequence[Buffer], metadata: Headers | None, deadline: Deadline) -> bytes | memoryview | None:
        """Send the parts of a message and give the one that answers; None where it can't be sent here, or is refused.

        Raise CallFailed, OSError, Garbled or TimeoutError; Leaving where a new connection is closed unused.
        """
        size = sum(map(len, parts))
        if size > _LARGEST:
            return None
        block = self._blocks(metadata)
        pool = self._pool
        place = pool.take(deadline)
        connection, answer = place.connection, None
        try:
            if connection is not None and not connection.full:
                try:  # noqa: SIM105  # `suppress` takes as long as the rest of this
                    answer = connection.call(block, parts, size, deadline)
                except Unsent:  # Leaving among it
                    pass
            if answer is None:
                if connection is not None:
                    connection.close()
                connection = pool.connect(place, deadline)
                answer = _call_on(connection, block, parts, size, deadline)
        except BaseException as error:
            pool.drop(place)
            if isinstance(error, Dropped):  # what ended this one may have ended those that are idle, and said nothing
                pool.renew()
            raise
        if answer is None:
            pool.drop(place)
            return None
        pool.give_back(place)
        return _message(answer) if answer.code else answer.message

    def renew(self) -> None:
        """Make connections anew from now on."""
        self._pool.renew()

    def close(self) -> None:
        """Close all connections, those of calls under way once they are over."""
        self._pool.close()


class AsyncUnaryCalls:
    """The same for any number of tasks of an event loop: some of them share a connection."""

    def __init__(self, path: str, endpoint: Endpoint, options: ConnectionOptions) -> None:
        route = _route(endpoint, options)
        open_one = partial(connect, route)
        self._shared = PerLoop(lambda: SharedConnections(open_one, options.max_connections), SharedConnections.close)
        self._blocks = lru_cache(maxsize=256)(lambda metadata: encode_headers(path, endpoint.authority, metadata or ()))

    async def call(
        self, parts: Sequence[Buffer], metadata: Headers | None, deadline: Deadline
    ) -> bytes | memoryview | None:
        """Send the parts of a message and give the one that answers; see `UnaryCalls.call`."""
        size = sum(map(len, parts))
        if size > _LARGEST:
            return None
        block = self._blocks(metadata)
        shared = self._shared.get()
        for refusals in range(1, _REFUSALS + 1):
            while (connection := shared.pick(size)) is not None and connection.stale:
                await asyncio.sleep(0)
            connection = connection or await shared.open(size, deadline)
            if connection is None:
                return None
            try:
                return _message(await connection.call(block, parts, size, deadline))
            except Unsent as error:  # a server may refuse what is past its limit, and always says so: RFC 9113, 8.7
                if refusals == _REFUSALS and isinstance(error, Leaving):
                    raise
            except Dropped:  # what ended this one may have ended the others, and said nothing
                shared.renew()
                raise
        return None

    def renew(self) -> None:
        """Make connections anew from now on."""
        shared = self._shared.known()
        if shared is not None:
            shared.renew()

    def close(self) -> None:
        """Close all connections."""
        self._shared.close()


def _call_on(
    connection: GrpcConnection, block: bytes, parts: Sequence[Buffer], size: int, deadline: Deadline
) -> GrpcAnswer | None:
    """Call on a connection; None where the server takes no calls, or refused this one."""
    try:
        return None if connection.full else connection.call(block, parts, size, deadline)
    except Leaving:
        raise
    except Unsent:
        return None


def _message(answer: GrpcAnswer) -> bytes | memoryview:
    if answer.code:
        raise CallFailed(_CODES[answer.code] if answer.code < len(_CODES) else "UNKNOWN", answer.words)
    return answer.message
