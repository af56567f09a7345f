"""Names are looked up within the deadline."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tritonforge.client import AsyncClient, Client, DeadlineExceeded, ServerUnavailable
from tritonforge.client.connections.resolving import resolve
from tritonforge.client.deadline import Deadline

LOOK_UP = socket.getaddrinfo


@pytest.fixture
def slow_dns(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every name takes until the test is over."""
    over = threading.Event()

    def look_up(host, port, *args, **more):
        if more.get("flags", 0) & socket.AI_NUMERICHOST:
            return LOOK_UP(host, port, *args, **more)
        over.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "it took too long")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield
    over.set()


def test_a_name_that_takes_too_long_is_a_missed_deadline(slow_dns):
    start = time.monotonic()
    with Client("http://some.test:8000", timeout_s=0.2) as client, pytest.raises(DeadlineExceeded):
        client.server()
    assert time.monotonic() - start < 30


@pytest.mark.usefixtures("slow_dns")
def test_in_a_loop_too():
    async def main() -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        async with AsyncClient("http://some.test:8000", timeout_s=0.2) as client:
            with pytest.raises(DeadlineExceeded):
                await client.server()
        assert loop.time() - start < 30

    loop = asyncio.new_event_loop()  # asyncio.run() would wait for the look-up's thread at its end
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


def test_a_numeric_address_is_looked_up_nowhere(slow_dns):
    assert resolve("127.0.0.1", 80, Deadline(5))[0][4] == ("127.0.0.1", 80)
    assert resolve("::1", 80, Deadline(5))[0][4][:2] == ("::1", 80)


def test_a_name_without_an_address_is_told_as_before(monkeypatch):
    def look_up(host, port, *args, **more):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with Client("http://nowhere.test", timeout_s=20) as client, pytest.raises(ServerUnavailable) as caught:
        client.server()
    assert "Name or service not known" in caught.value.reason
    assert not caught.value.sent
