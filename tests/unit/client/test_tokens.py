"""Tokens by a function, which is asked before each request: plain or asynchronous, quick or slow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import grpc
import numpy as np
import pytest

from tritonforge.client import (
    AsyncClient,
    Breaker,
    Client,
    ConnectionOptions,
    DeadlineExceeded,
    InvalidRequest,
    Retries,
)

from .fault_server import ANSWER, FaultServer, Peer
from .small_servers import answer_question, doubled, doubled_once, grpc_server

X = np.array([1, 2], np.float32)
LATE = r"no token within 0\.3 s: the function given as token took too long"
Token = Callable[[], "str | Awaitable[str]"]


class Seen:
    """What servers were sent as Authorization, by inferences and streams."""

    def __init__(self) -> None:
        self.tokens: list[str] = []

    def serve(self, peer: Peer) -> None:
        while request := peer.request():
            head = request.partition(b"\r\n\r\n")[0].decode().lower()
            if request.startswith(b"POST"):
                self.tokens += [line.partition(": ")[2] for line in head.split("\r\n") if line.startswith("authoriz")]
                peer.send(ANSWER)
            else:
                assert "\r\nauthorization: bearer t" in head
                answer_question(peer, request)

    def note(self, context: grpc.ServicerContext) -> None:
        self.tokens += [str(value).lower() for key, value in context.invocation_metadata() if key == "authorization"]

    def infer(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.note(context)
        return doubled(request, context)

    def stream(self, requests: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        self.note(context)
        return doubled_once(requests, context)


@contextmanager
def seeing(protocol: str, seen: Seen) -> Iterator[str]:
    if protocol == "http":
        with FaultServer(seen.serve) as server:
            yield server.url
    else:
        with grpc_server(seen.infer, stream=seen.stream) as url:
            yield url


class Numbered:
    """Gives another token each time."""

    def __init__(self) -> None:
        self.given = 0

    def plain(self) -> str:
        self.given += 1
        return f"t{self.given}"

    async def awaited(self) -> str:
        await asyncio.sleep(0)
        return self.plain()


def options_of(token: Token, **more: Any) -> dict[str, Any]:
    return {"options": ConnectionOptions(token=token, **more), "timeout_s": 20, "tracing": False}


async def infer_in_loop(urls: Any, token: Token, **more: Any) -> Any:
    async with AsyncClient(urls, **options_of(token)) as client:
        return await client.infer("m", x=X, **more)


@pytest.mark.parametrize("compression", ["", "gzip"])
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_function_is_asked_before_each_request(protocol, compression):
    seen, numbered = Seen(), Numbered()
    with (
        seeing(protocol, seen) as url,
        Client(url, **options_of(numbered.plain, compression=compression)) as client,
    ):
        for _ in range(4):
            client.infer("m", x=X)
        if protocol == "grpc":
            assert len(list(client.stream("m", x=X))) == 1
    assert numbered.given == 2 + len(seen.tokens)  # what describes the model, too
    assert seen.tokens == [f"bearer t{number + 3}" for number in range(len(seen.tokens))]
    assert len(seen.tokens) == (5 if protocol == "grpc" else 4)


@pytest.mark.parametrize("way", ["plain", "awaited", "wrapped"])
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_so_it_is_in_a_loop_that_awaits_it(protocol, way):
    async def main(url: str) -> None:
        async with AsyncClient(url, **options_of(token)) as client:
            assert await client.is_ready()
            for _ in range(4):
                assert (await client.infer("m", x=X)).y.tolist() == [1, 2]
            if protocol == "grpc":
                assert len([result async for result in client.stream("m", x=X)]) == 1

    seen, numbered = Seen(), Numbered()
    token = partial(numbered.awaited) if way == "wrapped" else getattr(numbered, way)
    with seeing(protocol, seen) as url:
        asyncio.run(main(url))
    assert seen.tokens == [f"bearer t{number + 4}" for number in range(len(seen.tokens))]
    assert len(seen.tokens) == (5 if protocol == "grpc" else 4)


def slow() -> str:
    time.sleep(0.4)
    return "t"


async def slow_in_loop() -> str:
    await asyncio.sleep(20)
    return "t"


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_who_is_late_for_its_token_is_told_so(protocol):
    with seeing(protocol, Seen()) as url:
        with Client(url, **options_of(slow)) as client, pytest.raises(DeadlineExceeded, match=LATE) as caught:
            client.infer("m", x=X, timeout_s=0.3, request_id="r-7")
        assert (caught.value.sent, caught.value.of_token, caught.value.request_id) == (False, True, "r-7")
        for token in (slow, slow_in_loop):
            with pytest.raises(DeadlineExceeded, match=LATE):
                asyncio.run(infer_in_loop(url, token, timeout_s=0.3))


def test_an_asynchronous_one_keeps_no_other_task_waiting():
    async def main(url: str) -> None:
        waiting = asyncio.Event()

        async def token() -> str:
            waiting.set()
            await going.wait()
            return "t"

        going = asyncio.Event()
        async with AsyncClient(url, **options_of(token)) as client:
            call = asyncio.ensure_future(client.infer("m", x=X))
            await asyncio.wait_for(waiting.wait(), 20)
            assert not call.done()
            going.set()
            assert (await call).y.tolist() == [1, 2]

    with seeing("http", Seen()) as url:
        asyncio.run(main(url))


def test_a_late_token_is_held_against_no_server():
    async def main(urls: list[str]) -> None:
        given = options_of(token)
        async with AsyncClient(urls, breaker=Breaker(failures=1), retries=Retries(attempts=1), **given) as client:
            await client.infer("m", x=X)
            delays.extend([20.0, 20.0])
            for _ in range(2):
                with pytest.raises(DeadlineExceeded, match="no token within"):
                    await client.infer("m", x=X, timeout_s=0.2)
            delays.clear()
            replicas = client._assembly.reliable.replicas.all
            assert [(each.failures, each.open, each.passed_over, each.in_flight) for each in replicas] == [
                (0, False, False, 0)
            ] * 2
            await client.infer("m", x=X)

    async def token() -> str:
        if delays:
            await asyncio.sleep(delays[0])
        return "t"

    delays: list[float] = []
    with seeing("http", Seen()) as one, seeing("http", Seen()) as two:
        asyncio.run(main([one, two]))


def test_an_asynchronous_one_is_refused_by_a_client_that_blocks():
    async def token() -> str:
        return "t"

    words = "the function given as token gave a coroutine, which AsyncClient awaits; Client takes one that gives a text"
    with Client("http://127.0.0.1:1", **options_of(token)) as client, pytest.raises(TypeError, match=words):
        client.infer("m", x=X)


def test_what_is_no_token_and_what_the_function_raises_come_as_they_are():
    def fail() -> str:
        raise TimeoutError("the vault is busy")

    for token, error, words in (
        (lambda: 3, TypeError, "the function given as token gave an int; it is to give a text"),
        (lambda: "a\nb", ValueError, "token: its value has characters that a header can't hold"),
        (lambda: "a ", ValueError, "token: its value begins or ends with white space, .*; strip it"),
        (fail, TimeoutError, "the vault is busy"),
    ):
        with Client("http://127.0.0.1:1", **options_of(token)) as client, pytest.raises(error, match=words) as caught:
            client.infer("m", x=X)
        assert not isinstance(caught.value, DeadlineExceeded)
        with pytest.raises(error, match=words):
            asyncio.run(infer_in_loop("http://127.0.0.1:1", token))


def test_an_empty_one_is_no_header():
    seen = Seen()
    with grpc_server(seen.infer) as url, Client(url, **options_of(lambda: "")) as client:
        client.infer("m", x=X)
    assert not seen.tokens


def test_what_a_protocol_has_not_is_refused_without_one():
    numbered = Numbered()
    options = options_of(numbered.plain)
    with Client("http://127.0.0.1:1", **options) as client, pytest.raises(InvalidRequest, match="over gRPC only"):
        list(client.stream("m", x=X))
    with Client("grpc://127.0.0.1:1", **options) as client, pytest.raises(InvalidRequest, match="over HTTP only"):
        client.generate("m", x=1)
    assert not numbered.given
