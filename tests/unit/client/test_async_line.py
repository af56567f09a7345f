"""A peer that speaks, or leaves, before it is asked anything: the first request fails at once, not at its deadline."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tritonforge.client.deadline import Deadline
from tritonforge.client.grpc import async_connection as async_grpc_connection
from tritonforge.client.http import async_connection as async_http_connection
from tritonforge.client.http.answer import Dropped, Garbled, Unsent
from tritonforge.client.http.connection import Route

from .fault_server import FaultServer, Peer

PATIENCE_S = 20.0
SETTINGS = b"\0\0\0\4\0\0\0\0\0"


async def over_http(route: Route) -> tuple[Any, Callable[[], Awaitable[Any]]]:
    connection = await async_http_connection.connect(route, Deadline(PATIENCE_S))
    return connection, lambda: connection.exchange([b"GET / HTTP/1.1\r\n\r\n"], Deadline(PATIENCE_S))


async def over_grpc(route: Route) -> tuple[Any, Callable[[], Awaitable[Any]]]:
    connection = await async_grpc_connection.connect(route, Deadline(PATIENCE_S))
    return connection, lambda: connection.call(b"", b"m", Deadline(PATIENCE_S))


def first_request(behaviour: Callable[[Peer], Any], make: Callable[[Route], Any]) -> None:
    """Connect, let the peer act, then ask. Raise what the request raises."""

    async def main(port: int) -> None:
        connection, ask = await make(Route("127.0.0.1", port))
        deadline = Deadline(PATIENCE_S)
        while connection.open and deadline.left_s():
            await asyncio.sleep(0.001)
        try:
            await ask()
        finally:
            connection.close()
            await asyncio.sleep(0)

    with FaultServer(behaviour) as server:
        asyncio.run(main(server.port))


@pytest.mark.parametrize(("make", "failure"), [(over_http, Dropped), (over_grpc, Unsent)])
def test_a_peer_that_leaves_at_once_has_dropped_the_request(make, failure):
    with pytest.raises(failure, match=r"(closed|reset by peer) before an answer"):
        first_request(lambda peer: None, make)


@pytest.mark.parametrize(
    ("make", "data", "words"),
    [
        (over_http, SETTINGS, "gRPC port"),
        (over_http, b"SSH-2.0-OpenSSH_9.2\r\n", "not an HTTP response"),
        (over_grpc, b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP port"),
        (over_grpc, b"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP/2"),
        (over_grpc, b"\x15\x03\x01\0\x02\x02\x46", "not HTTP/2"),  # what a server of TLS says to who speaks none
        (over_grpc, b"\0\0\x08\7\0\0\0\0\0\0\0\0\0\0\0\0\x0b", "not HTTP/2"),  # GOAWAY, before any settings
    ],
)
def test_a_peer_that_speaks_first_is_told_what_it_is(make, data, words):
    with pytest.raises(Garbled if make is over_http else Unsent, match=words):
        first_request(lambda peer: (peer.send(data), peer.hold()), make)


def test_a_failure_that_nobody_waits_for_any_more_is_no_complaint_of_the_loop():
    complaints: list[dict[str, Any]] = []
    answers: list[weakref.ref[asyncio.Future[Any]]] = []

    async def main(port: int) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        connection = await async_http_connection.connect(Route("127.0.0.1", port), Deadline(PATIENCE_S))
        answer = connection.expect(1, Deadline(PATIENCE_S))
        connection.fail(1, Dropped("closed"))
        connection.release(1)
        answers.append(weakref.ref(answer))
        del answer
        connection.close()
        await asyncio.sleep(0)

    with FaultServer(Peer.hold) as server:
        asyncio.run(main(server.port))
    assert not complaints
    assert answers[0]() is None, "a collector would be needed, which finds what other tests have left, too"
