"""Several servers, of which one takes no connection, or takes it and says nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from tritonforge.client import AsyncClient, Client, ConnectionOptions, DeadlineExceeded, ServerUnavailable
from tritonforge.client.connect import open_async_transport, open_transport
from tritonforge.client.deadline import Deadline
from tritonforge.client.message import Request, Tensor
from tritonforge.client.reliable import replicas as replicas_module
from tritonforge.client.reliable.retries import Retries

from .fault_server import FaultServer, Peer
from .small_servers import answer_question, full_backlog, grpc_server, serve_model, well

X = np.array([1, 2], np.float32)
LARGE = np.zeros(1 << 14, np.float32)
PATIENCE_S = 2.0

protocols = pytest.mark.parametrize("protocol", ["http", "grpc"])


@contextmanager
def unreachable() -> Iterator[int]:
    with full_backlog() as port:
        yield port


@contextmanager
def mute() -> Iterator[int]:
    with FaultServer(Peer.hold) as server:
        yield server.port


@pytest.fixture(autouse=True)
def first_url_first(monkeypatch):
    """Have questions about models begin with the first URL, which hangs: a client draws which one."""
    monkeypatch.setattr(replicas_module.random, "randrange", lambda count: 0)


@protocols
@pytest.mark.parametrize("hanging", [unreachable, mute])
def test_no_call_is_lost_to_a_server_that_hangs_before_the_first(protocol, hanging):
    with (
        hanging() as port,
        well(protocol) as url,
        Client([f"{protocol}://127.0.0.1:{port}", url], timeout_s=PATIENCE_S, shared_memory=False) as client,
    ):
        assert all(client.infer("m", x=X).y.tolist() == [1, 2] for _ in range(4))


@protocols
def test_no_call_is_lost_to_one_that_can_not_be_reached_by_the_time_of_the_first_inference(protocol):
    with unreachable() as port, well(protocol) as url:
        urls = [url, f"{protocol}://127.0.0.1:{port}"]
        with Client(urls, timeout_s=PATIENCE_S, shared_memory=False) as client:
            assert all(client.infer("m", x=X).y.tolist() == [1, 2] for _ in range(4))


@protocols
@pytest.mark.parametrize("hanging", [unreachable, mute])
def test_no_inference_goes_to_a_server_that_never_answered_while_another_is_left(protocol, hanging):
    """The model has been described by the other one by then."""
    with (
        hanging() as port,
        well(protocol) as url,
        Client([url, f"{protocol}://127.0.0.1:{port}"], timeout_s=PATIENCE_S, shared_memory=False) as client,
    ):
        client.describe("m")
        assert all(client.infer("m", x=X).y.tolist() == [1, 2] for _ in range(4))


@protocols
@pytest.mark.parametrize("hanging", [unreachable, mute])
def test_no_task_of_many_is_lost(protocol, hanging):
    async def main(urls: list[str]) -> None:
        async with AsyncClient(urls, timeout_s=PATIENCE_S, shared_memory=False) as client:
            answers = await asyncio.gather(*[client.infer("m", x=X) for _ in range(20)])
            assert all(answer.y.tolist() == [1, 2] for answer in answers)

    with hanging() as port, well(protocol) as url:
        asyncio.run(main([f"{protocol}://127.0.0.1:{port}", url]))


def test_large_requests_over_grpc_go_to_the_next_server_too():
    async def main(urls: list[str]) -> None:
        async with AsyncClient(urls, timeout_s=PATIENCE_S, shared_memory=False) as client:
            for _ in range(3):
                assert len((await client.infer("m", x=LARGE)).y) == len(LARGE)

    with unreachable() as port, grpc_server() as url:
        urls = [url, f"grpc://127.0.0.1:{port}"]
        with Client(urls, timeout_s=PATIENCE_S, shared_memory=False) as client:
            for _ in range(3):
                assert len(client.infer("m", x=LARGE).y) == len(LARGE)
        asyncio.run(main(urls))


def test_a_request_that_was_sent_is_lost_and_the_next_ones_go_elsewhere():
    def hang_at_inferences(peer: Peer) -> None:
        while request := peer.request():
            if not request.startswith(b"GET"):
                peer.hold()
            answer_question(peer, request)

    late = 0
    with (
        FaultServer(hang_at_inferences) as hanging,
        FaultServer(serve_model) as server,
        Client([server.url, hanging.url], timeout_s=1, shared_memory=False) as client,
    ):
        client.describe("m")
        for _ in range(6):
            try:
                client.infer("m", x=X)
            except DeadlineExceeded:
                late += 1
    assert late == 1


def test_a_server_is_asked_about_readiness_for_a_share_of_the_time():
    with (
        unreachable() as port,
        FaultServer(serve_model) as server,
        Client([f"http://127.0.0.1:{port}", server.url], timeout_s=PATIENCE_S) as client,
    ):
        assert client.is_ready()


def test_one_server_alone_has_all_of_the_time():
    with (
        unreachable() as port,
        Client(f"http://127.0.0.1:{port}", timeout_s=0.2) as client,
        pytest.raises(DeadlineExceeded, match=r"no connection within 0\.2 s") as caught,
    ):
        client.infer("m", x=X)
    assert not caught.value.sent


def test_without_retries_one_server_has_all_of_the_time():
    with (
        unreachable() as port,
        FaultServer(serve_model) as server,
        Client([f"http://127.0.0.1:{port}", server.url], timeout_s=0.2, retries=Retries(attempts=1)) as client,
        pytest.raises(DeadlineExceeded, match=r"no connection within 0\.2 s"),
    ):
        client.describe("m")


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_connection_that_is_not_made_in_time_is_told_and_nothing_was_sent(scheme):
    request = Request("m", (Tensor("x", "FP32", (2,), bytes(8)),))

    async def main(url: str) -> None:
        transport = open_async_transport(url, ConnectionOptions())
        with pytest.raises(DeadlineExceeded, match=r"no connection within 0\.2 s") as caught:
            await transport.infer(request, Deadline(0.2))
        assert not caught.value.sent
        await transport.close()

    with unreachable() as port:
        url = f"{scheme}://127.0.0.1:{port}"
        transport = open_transport(url, ConnectionOptions())
        with pytest.raises(DeadlineExceeded, match=r"no connection within 0\.2 s") as caught:
            transport.infer(request, Deadline(0.2))
        assert not caught.value.sent
        transport.close()
        asyncio.run(main(url))


@pytest.mark.parametrize("scheme", ["https", "grpcs"])
def test_a_handshake_of_tls_has_a_share_of_the_time(scheme):
    request = Request("m", (Tensor("x", "FP32", (2,), bytes(8)),))

    async def main(url: str) -> None:
        transport = open_async_transport(url, ConnectionOptions())
        with pytest.raises(ServerUnavailable, match="no connection within") as caught:
            await transport.infer(request, Deadline(0.6).sharing())
        assert (caught.value.sent, caught.value.silent) == (False, True)
        await transport.close()

    with mute() as port:
        url = f"{scheme}://127.0.0.1:{port}"
        asyncio.run(main(url))
        transport = open_transport(url, ConnectionOptions())
        with pytest.raises(ServerUnavailable, match="no connection within") as caught:
            transport.infer(request, Deadline(0.6).sharing())
        assert (caught.value.sent, caught.value.silent) == (False, True)
        transport.close()
