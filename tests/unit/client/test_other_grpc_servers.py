"""Both clients where a gRPC endpoint is another service than Triton's: as where a web server answers over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from tritonforge.client import AsyncClient, Client, DeadlineExceeded, Retries, ServerUnavailable

from .fault_server import FaultServer, then_close
from .small_servers import grpc_server, grpc_service

X = np.array([1, 2], np.float32)
WORDS = "not a Triton server, or one without this endpoint: Method not found!"


@contextmanager
def web_server() -> Iterator[str]:
    with FaultServer(then_close(b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nnope\n")) as server:
        yield server.url


OTHERS: dict[str, Callable[[], Any]] = {"grpc": grpc_service, "http": web_server}


@pytest.fixture(params=OTHERS)
def other(request: pytest.FixtureRequest) -> Iterator[str]:
    with OTHERS[request.param]() as url:
        yield url


def test_another_server_is_asked(other):
    async def main(urls: list[str]) -> None:
        async with AsyncClient(urls, timeout_s=20) as client:
            for _ in range(6):
                assert (await client.infer("m", x=X)).y.tolist() == [1, 2]

    with grpc_server() as url:
        for urls in ([other, url], [url, other]):
            asyncio.run(main(urls))
            with Client(urls, timeout_s=20) as client:
                for _ in range(6):
                    assert client.infer("m", x=X).y.tolist() == [1, 2]


def test_a_stream_goes_to_another_server_too():
    with (
        grpc_service() as other,
        grpc_server() as url,
        Client([other, url], timeout_s=20, retries=Retries(budget=0, burst=0)) as client,
    ):
        for _ in range(6):
            assert [result.y.tolist() for result in client.stream("m", x=X)] == [[1, 2]]


def test_it_is_not_ready(other):
    with Client(other, timeout_s=20) as client:
        assert not client.is_ready()
        assert not client.is_ready("m")
        with pytest.raises(DeadlineExceeded, match="not ready within"):
            client.wait_ready(timeout_s=0.3)


@pytest.mark.parametrize("ask", [Client.models, Client.server, lambda client: client.infer("m", x=X)])
def test_who_asks_is_told_what_it_is(ask):
    with (
        grpc_service() as url,
        Client(url, timeout_s=20) as client,
        pytest.raises(ServerUnavailable, match=WORDS) as caught,
    ):
        ask(client)
    assert (caught.value.foreign, caught.value.code) == (True, "UNIMPLEMENTED")


def test_a_model_of_a_server_without_configurations_is_called():
    """Other servers of the protocol, such as MLServer, have none of Triton's extensions."""
    with grpc_server(without=("ModelConfig",)) as url, Client(url, timeout_s=20) as client:
        assert client.describe("m").max_batch_size == 0
        assert client.infer("m", x=X).y.tolist() == [1, 2]
        large = np.zeros(1 << 17, np.float32)
        assert client.infer("m", x=large).y.shape == large.shape
