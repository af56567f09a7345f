"""What a wait for a server says of itself at its end: whether anything had reached the server by then."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tritonforge.client import AsyncClient, Client, DeadlineExceeded, ServerUnavailable

from .fault_server import FaultServer, Peer, free_port
from .small_servers import full_backlog, ok


@contextmanager
def down() -> Iterator[int]:
    yield free_port()


@contextmanager
def silent() -> Iterator[int]:
    with FaultServer(Peer.hold) as server:
        yield server.port


@contextmanager
def unready() -> Iterator[int]:
    def refuse(peer: Peer) -> None:
        while peer.request():
            peer.send(ok(b"").replace(b"200 OK", b"503 Service Unavailable"))

    with FaultServer(refuse) as server:
        yield server.port


def late(url: str) -> DeadlineExceeded:
    with Client(url) as client, pytest.raises(DeadlineExceeded, match=r"not ready within 0\.4 s") as caught:
        client.wait_ready("m", timeout_s=0.4)
    return caught.value


@pytest.mark.parametrize(
    ("server", "scheme", "sent"),
    [
        (down, "http", False),
        (down, "grpc", False),
        (full_backlog, "http", False),
        (silent, "http", True),
        (unready, "http", True),
    ],
)
def test_whether_anything_was_sent_is_told(server, scheme, sent):
    async def late_in_a_loop(url: str) -> DeadlineExceeded:
        async with AsyncClient(url) as client:
            with pytest.raises(DeadlineExceeded) as caught:
                await client.wait_ready("m", timeout_s=0.4)
        return caught.value

    with server() as port:
        url = f"{scheme}://127.0.0.1:{port}"
        assert late(url).sent is sent
        assert asyncio.run(late_in_a_loop(url)).sent is sent


@pytest.mark.parametrize("models", [(), ("m",)])
def test_credentials_that_are_refused_are_told(models):
    def refuse(peer: Peer) -> None:
        while peer.request():
            peer.send(ok(b"").replace(b"200 OK", b"401 Unauthorized"))

    with (
        FaultServer(refuse) as server,
        Client(f"http://127.0.0.1:{server.port}") as client,
        pytest.raises(DeadlineExceeded, match=r"within 0\.4 s: HTTP 401; it wants credentials: ConnectionOptions\("),
    ):
        client.wait_ready(*models, timeout_s=0.4)


def closes_kept(peer: Peer) -> None:
    """As a proxy whose patience with an idle connection ends just as the next request comes: it says nothing."""
    if peer.request():
        peer.send(ok(b""))
        peer.request()


@pytest.mark.parametrize("model", ["", "m"])
def test_a_kept_connection_that_breaks_makes_no_server_unready(model):
    async def ask(url: str) -> list[bool]:
        async with AsyncClient(url) as client:
            return [await client.is_ready(model) for _ in range(6)]

    with FaultServer(closes_kept) as server:
        with Client(server.url) as client:
            assert [client.is_ready(model) for _ in range(6)] == [True] * 6
        assert asyncio.run(ask(server.url)) == [True] * 6


def breaks(peer: Peer) -> None:
    """As a server that wants a key for its index, and goes away then."""
    while (request := peer.request()) and b"/index" in request:
        words = b'{"error":"This API is restricted, expecting header \'triton-key\'"}'
        peer.send(ok(words).replace(b"200 OK", b"403 Forbidden"))


def test_models_that_no_answer_tells_are_not_blamed_on_the_key():
    with (
        FaultServer(breaks) as server,
        Client(server.url, timeout_s=10) as client,
        pytest.raises(ServerUnavailable, match="before an answer"),
    ):
        client.models()
