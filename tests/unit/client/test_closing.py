"""Calls over grpcio that are under way as their client is closed, and streams that are late."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing
from threading import Event
from typing import Any

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from tritonforge.client import AsyncClient, Client, ConnectionOptions, DeadlineExceeded
from tritonforge.client.grpc import exchange as grpc_exchange
from tritonforge.client.reliable.retries import Retries

from .fault_server import FaultServer, Peer
from .small_servers import doubled, grpc_server

PATIENCE_S = 20.0
X = np.array([1, 2], np.float32)
CLOSED = r"^the client of grpc://127\.0\.0\.1:\d+ is closed$"
SETTINGS: dict[str, Any] = {
    "timeout_s": PATIENCE_S,
    "retries": Retries(attempts=1),
    "options": ConnectionOptions(keepalive_s=60),  # with which all goes over grpcio
}


@pytest.mark.parametrize("kind", ["blocking", "async"])
def test_a_connection_that_is_never_made_ends_soon_after_the_client(kind, monkeypatch):
    shorter = {grpc_exchange._CONNECT_MS: 300}
    options = tuple((name, shorter.get(value, value)) for name, value in grpc_exchange._OPTIONS)
    monkeypatch.setattr(grpc_exchange, "_OPTIONS", options)
    ended = Event()

    def hear_out(peer: Peer) -> None:
        while peer._connection.recv(1 << 16):
            pass
        ended.set()

    with FaultServer(hear_out) as server:
        url = f"grpc://127.0.0.1:{server.port}"

        async def ask() -> None:
            async with AsyncClient(url, timeout_s=0.1) as client:
                with pytest.raises(DeadlineExceeded):
                    await client.infer("m", x=X)

        if kind == "async":
            asyncio.run(ask())
        else:
            with Client(url, timeout_s=0.1) as client, pytest.raises(DeadlineExceeded):
                client.infer("m", x=X)
        assert ended.wait(10)


class Slow:
    """A server's answers that come once the call has been given up."""

    def __init__(self) -> None:
        self.began = Event()

    def _wait(self, context: grpc.ServicerContext) -> None:
        gone = Event()
        if context.add_callback(gone.set):
            self.began.set()
            gone.wait(PATIENCE_S)

    def infer(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._wait(context)
        return doubled(request, context)

    def stream(self, requests: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        yield service_pb2.ModelStreamInferResponse(infer_response=doubled(next(requests), context))
        self._wait(context)


def infer(client: Client) -> Any:
    return client.infer("m", x=X)


def stream(client: Client) -> Any:
    return list(client.stream("m", x=X))


async def infer_in_loop(client: AsyncClient) -> Any:
    return await client.infer("m", x=X)


async def stream_in_loop(client: AsyncClient) -> Any:
    return [result async for result in client.stream("m", x=X)]


@pytest.mark.parametrize("use", [infer, stream])
def test_a_call_under_way_ends_with_its_client(use):
    slow = Slow()
    with grpc_server(slow.infer, stream=slow.stream) as url, ThreadPoolExecutor(1) as pool:
        client = Client(url, **SETTINGS)
        call = pool.submit(use, client)
        assert slow.began.wait(PATIENCE_S)
        client.close()
        with pytest.raises(RuntimeError, match=CLOSED):
            call.result(PATIENCE_S)


@pytest.mark.parametrize("use", [infer_in_loop, stream_in_loop])
def test_nor_is_it_cancelled_in_a_loop(use):
    async def main(url: str) -> None:
        client = AsyncClient(url, **SETTINGS)
        task = asyncio.create_task(use(client))
        assert await asyncio.to_thread(slow.began.wait, PATIENCE_S)
        await client.close()
        with pytest.raises(RuntimeError, match=CLOSED):
            await task

    slow = Slow()
    with grpc_server(slow.infer, stream=slow.stream) as url:
        asyncio.run(main(url))


@pytest.mark.parametrize("use", [infer_in_loop, stream_in_loop])
def test_a_task_that_is_cancelled_stays_so(use):
    async def main(url: str) -> None:
        async with AsyncClient(url, **SETTINGS) as client:
            task = asyncio.create_task(use(client))
            assert await asyncio.to_thread(slow.began.wait, PATIENCE_S)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    slow = Slow()
    with grpc_server(slow.infer, stream=slow.stream) as url:
        asyncio.run(main(url))


LATE = r"m at .*: the stream was not over within 1 s, after 1 response$"


def test_a_stream_that_is_late_says_what_it_has_given():
    async def main(url: str) -> None:
        async with AsyncClient(url) as client, aclosing(client.stream("m", x=X, timeout_s=1)) as results:
            await client.describe("m")
            assert (await anext(results)).y.tolist() == [1, 2]
            with pytest.raises(DeadlineExceeded, match=LATE):
                await anext(results)

    with grpc_server(stream=Slow().stream) as url:
        asyncio.run(main(url))
        with Client(url) as client, closing(client.stream("m", x=X, timeout_s=1)) as results:
            client.describe("m")
            assert next(results).y.tolist() == [1, 2]
            with pytest.raises(DeadlineExceeded, match=LATE):
                next(results)


def test_so_does_what_is_generated():
    def generate(peer: Peer) -> None:
        peer.request()
        peer.send(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11\r\ndata: {"y": 10}\n\n\r\n')
        peer.hold()

    with (
        FaultServer(generate) as server,
        Client(server.url) as client,
        closing(client.generate_stream("m", timeout_s=1)) as answers,
    ):
        assert next(answers) == {"y": 10}
        with pytest.raises(DeadlineExceeded, match=LATE):
            next(answers)
