"""What a bad network does to calls: no hang past the deadline, no wrong answer, no leak, no retry that may do harm."""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
import time
import urllib.parse
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fault_proxy import Fault, Proxy
from feature_models import write_feature_models
from repositories import FREE_PORTS, renewed

from tritonforge.client import (
    AsyncClient,
    Breaker,
    Client,
    ClientError,
    ConnectionOptions,
    DeadlineExceeded,
    InferenceFailed,
    InvalidRequest,
    Retries,
    ServerUnavailable,
)
from tritonforge.server import Server

ONE = np.ones((1, 1), np.float32)
LIMIT_S = 1.0
SLACK_S = 3.0
"""What this machine, busy with other tests, may take on top; a hang takes forever."""

STALLED_S = 12.0

BUSY = b'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 16\r\n\r\n{"error":"busy"}'
Answer = Callable[[Any], Any]


def delay(proxy: Proxy, client: socket.socket, data: bytes) -> bytes | None:
    proxy.hold()
    return None


def cut(proxy: Proxy, client: socket.socket, data: bytes) -> bytes | None:
    client.sendall(data[: len(data) // 2])
    return None


def reset(proxy: Proxy, client: socket.socket, data: bytes) -> bytes | None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.shutdown(socket.SHUT_RD)  # ends the other thread's wait for it; as long as that lasts, nothing is closed
    client.close()
    return None


def half_close(proxy: Proxy, client: socket.socket, data: bytes) -> bytes | None:
    client.shutdown(socket.SHUT_WR)
    proxy.hold()
    return None


def garbage(proxy: Proxy, client: socket.socket, data: bytes) -> bytes | None:
    return b"\xff" * 100 + b"\r\n\r\n"  # for HTTP/2 a frame larger than any may be


def busy(proxy: Proxy, client: socket.socket, data: bytes) -> bytes | None:
    return BUSY


def drip(proxy: Proxy, client: socket.socket, data: bytes) -> bytes | None:
    for byte in data:
        client.sendall(bytes([byte]))
        time.sleep(0.05)  # each byte comes in time; all of them don't
    return None


def short(proxy: Proxy, client: socket.socket, data: bytes) -> bytes | None:
    head, _, body = data.partition(b"\r\n\r\n")
    return head.replace(b"Content-Length: ", b"Content-Length: 9") + b"\r\n\r\n" + body


def stall(proxy: Proxy, client: socket.socket, data: bytes) -> bytes | None:
    """Stop amid a large request, at the first that the server says of it."""
    proxy.deaf = True
    client.sendall(data)
    time.sleep(STALLED_S)
    return None


FAULTS: dict[str, Fault] = {
    fault.__name__: fault for fault in (delay, cut, reset, half_close, garbage, busy, drip, short)
}
HTTP_ONLY = {"busy", "short"}


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Server]]:
    folder: Path = tmp_path_factory.mktemp("fault_models")
    write_feature_models(folder)
    with renewed(lambda: Server.embedded(folder, **FREE_PORTS, exit_timeout_s=0)) as serving:
        yield serving


@pytest.fixture
def served(serving: Callable[[], Server]) -> Server:
    return serving()


@pytest.fixture(params=["http", "grpc"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def proxy(served: Server, scheme: str) -> Iterator[Proxy]:
    url = served.http_url if scheme == "http" else served.grpc_url
    with Proxy(urllib.parse.urlsplit(url).port or 0) as proxy:
        yield proxy


def settings(**more: Any) -> dict[str, Any]:
    return {"timeout_s": LIMIT_S, "retries": Retries(first_delay_s=0.01), "shared_memory": False, **more}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_an_error_in_time_and_the_client_recovers(proxy, scheme, fault):
    if fault in HTTP_ONLY and scheme == "grpc":
        pytest.skip("a fault of HTTP's text")
    with Client(f"{scheme}://127.0.0.1:{proxy.port}", **settings(breaker=Breaker(failures=100))) as client:
        client.infer("identity", x_FP32=ONE, timeout_s=30)
        proxy.fault = FAULTS[fault]
        start = time.monotonic()
        with pytest.raises((ServerUnavailable, DeadlineExceeded)):
            client.infer("identity", x_FP32=ONE)
        assert time.monotonic() - start < LIMIT_S + SLACK_S
        proxy.fault = None
        client.wait_ready(timeout_s=30)  # grpc pauses before it connects again
        assert client.infer("identity", x_FP32=ONE * 3, timeout_s=30).y_FP32.item() == 3


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_loop_is_an_error_in_time(proxy, scheme, fault):
    if fault in HTTP_ONLY and scheme == "grpc":
        pytest.skip("a fault of HTTP's text")

    async def main() -> None:
        async with AsyncClient(
            f"{scheme}://127.0.0.1:{proxy.port}", **settings(breaker=Breaker(failures=100))
        ) as client:
            await client.infer("identity", x_FP32=ONE, timeout_s=30)
            proxy.fault = FAULTS[fault]
            start = time.monotonic()
            answers = await asyncio.gather(
                *(client.infer("identity", x_FP32=ONE) for _ in range(5)), return_exceptions=True
            )
            failed = [answer for answer in answers if isinstance(answer, (ServerUnavailable, DeadlineExceeded))]
            assert failed
            others = [answer for answer in answers if answer not in failed]  # of one connection, some may be whole
            assert all(answer.y_FP32.item() == 1 for answer in others)
            assert time.monotonic() - start < LIMIT_S + SLACK_S
            proxy.fault = None
            await client.wait_ready(timeout_s=30)
            result = await client.infer("identity", x_FP32=ONE * 3, timeout_s=30)
            assert result.y_FP32.item() == 3

    asyncio.run(main())


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_server_that_stops_amid_a_large_request_keeps_no_call_past_its_time(proxy, scheme, kind):
    large = np.zeros((1, 1 << 22), np.float32)

    async def main() -> None:
        async with AsyncClient(url, **settings()) as client:
            await client.infer("identity", x_FP32=large, timeout_s=30)
            proxy.fault = stall
            await client.infer("identity", x_FP32=large)

    def block() -> None:
        with Client(url, **settings()) as client:
            client.infer("identity", x_FP32=large, timeout_s=30)
            proxy.fault = stall
            client.infer("identity", x_FP32=large)

    url = f"{scheme}://127.0.0.1:{proxy.port}"
    start = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        block() if kind is Client else asyncio.run(main())
    assert time.monotonic() - start < STALLED_S


@pytest.mark.parametrize("fault", ["cut", "reset", "garbage"])
def test_a_request_of_a_sequence_that_was_sent_is_never_sent_again(proxy, served, scheme, fault):
    url = f"{scheme}://127.0.0.1:{proxy.port}"
    with Client(url, **settings(timeout_s=30)) as client, client.sequence("adder") as sequence:
        sequence.infer(x=ONE)
        proxy.fault = FAULTS[fault]
        with pytest.raises(ServerUnavailable) as caught:
            sequence.infer(x=ONE)
        assert caught.value.sent
        proxy.fault = None
        with Client(served.http_url) as other:  # the model adds up what came: the first, at most one more, and this one
            assert other.infer("adder", x=ONE, sequence_id=sequence.id).y.item() in (2, 3)
        with pytest.raises(InvalidRequest, match="unknown since a request of it may have been lost"):
            sequence.infer(x=ONE)


def test_a_broken_answer_of_a_stateless_model_is_asked_for_again(proxy, scheme):
    seen: list[bytes] = []

    def once(proxy: Proxy, client: socket.socket, data: bytes) -> bytes | None:
        seen.append(data)
        return reset(proxy, client, data) if len(seen) == 1 else data

    patient = Retries(attempts=10, first_delay_s=0.5)
    with Client(f"{scheme}://127.0.0.1:{proxy.port}", **settings(timeout_s=30, retries=patient)) as client:
        client.infer("identity", x_FP32=ONE)
        proxy.fault = once
        assert client.infer("identity", x_FP32=ONE * 5).y_FP32.item() == 5
        assert len(seen) >= 2


def executed(served: Server, model: str) -> int:
    with Client(served.http_url) as client:
        stats = client.admin.statistics(model)[0]["inference_stats"]
        return int(stats["success"]["count"] + stats["fail"]["count"])


def test_what_the_model_refuses_is_not_tried_again(served, scheme):
    url = served.http_url if scheme == "http" else served.grpc_url
    with Client(url, **settings(timeout_s=30)) as client:
        before = executed(served, "moody")
        with pytest.raises(InferenceFailed):
            client.infer("moody", x=ONE * 0)
        deadline = time.monotonic() + 30
        while (after := executed(served, "moody")) == before and time.monotonic() < deadline:
            time.sleep(0.01)  # Triton counts it a moment after it has answered
        assert after == before + 1


def test_no_connection_is_left_open(proxy, scheme):
    with Client(f"{scheme}://127.0.0.1:{proxy.port}", **settings()) as client:
        for fault in (None, reset, garbage, None, cut, None):
            proxy.fault = fault
            if fault is None:
                client.wait_ready(timeout_s=30)
            try:
                client.infer("identity", x_FP32=ONE)
            except ClientError:
                assert fault is not None
            until_open(proxy, at_most=2 if scheme == "http" else 100)
    until_open(proxy, at_most=0)


def until_open(proxy: Proxy, *, at_most: int) -> None:
    """Wait until the proxy, too, has seen the end of all connections but so many."""
    deadline = time.monotonic() + 30
    while proxy.open > at_most:
        assert time.monotonic() < deadline, f"{proxy.open} connections are left open"
        time.sleep(0.01)


def test_retries_end_with_the_budget(proxy, scheme):
    if scheme == "grpc":
        pytest.skip("a fault of HTTP's text")
    proxy.fault = busy
    retries = Retries(attempts=10, first_delay_s=0, burst=4, budget=0)
    url = f"http://127.0.0.1:{proxy.port}"
    with Client(url, **settings(retries=retries, timeout_s=30, breaker=Breaker(failures=1000))) as client:
        for _ in range(5):
            with pytest.raises(ServerUnavailable, match="busy"):
                client.describe("identity")
    assert proxy.requests == 5 + 4


def test_a_dead_replica_is_brought_back_by_a_probe(proxy, served, scheme):
    other = served.http_url if scheme == "http" else served.grpc_url
    breaker = Breaker(failures=1, pause_s=0.05)
    with Client([f"{scheme}://127.0.0.1:{proxy.port}", other], **settings(timeout_s=30, breaker=breaker)) as client:
        client.infer("identity", x_FP32=ONE)
        proxy.fault = reset
        first = client._assembly.reliable.replicas.all[0]
        for _ in range(10):
            client.infer("identity", x_FP32=ONE)
        assert first.open
        proxy.fault = None
        deadline = time.monotonic() + 30
        while first.open:
            client.infer("identity", x_FP32=ONE)
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_cancellation_of_a_task_reaches_the_server(served):
    """Its model, which answers one call at a time, has time for the next."""

    async def main() -> None:
        async with AsyncClient(served.grpc_url) as client:
            await client.describe("counter")
            numbers = client.stream("counter", count=np.array([100_000_000], np.int32))
            assert (await numbers.__anext__()).number.item() == 0
            await numbers.aclose()
            after = client.stream("counter", count=np.array([2], np.int32), timeout_s=30)
            assert [answer.number.item() async for answer in after] == [0, 1]

    asyncio.run(main())


def together(count: int) -> Fault:
    """A fault that lets answers pass once so many connections are made, so that no request takes another's."""

    def fault(proxy: Proxy, client: socket.socket, data: bytes) -> bytes | None:
        deadline = time.monotonic() + 30
        while proxy.connections < count and time.monotonic() < deadline:
            time.sleep(0.001)
        return data

    return fault


def stuck_from_now_on(proxy: Proxy) -> Fault:
    """A fault of the connections that there are: half of what comes, then nothing ever. New ones are sound."""
    old = proxy.sockets()

    def fault(proxy: Proxy, client: socket.socket, data: bytes) -> bytes | None:
        if client not in old:
            return data
        client.sendall(data[: len(data) // 2])
        proxy.hold()
        return None

    return fault


def test_connections_that_are_stuck_are_left_after_two_late_calls(proxy, scheme):
    with (
        Client(f"{scheme}://127.0.0.1:{proxy.port}", **settings(retries=Retries(attempts=1))) as client,
        ThreadPoolExecutor(3) as pool,
    ):
        proxy.fault = together(3) if scheme == "http" else None
        list(pool.map(lambda _: client.describe("identity", timeout_s=30), range(3)))
        proxy.fault = stuck_from_now_on(proxy)
        for _ in range(2):
            with pytest.raises(DeadlineExceeded):
                client.describe("identity", timeout_s=1)
        for _ in range(3):
            assert client.describe("identity", timeout_s=30).name == "identity"


def test_a_replica_whose_connections_are_stuck_is_brought_back_over_new_ones(proxy, served, scheme):
    other = served.http_url if scheme == "http" else served.grpc_url
    options = settings(timeout_s=30, breaker=Breaker(failures=1, pause_s=0.05, probe_s=0.2))
    with Client([f"{scheme}://127.0.0.1:{proxy.port}", other], **options) as client:
        first = client._assembly.reliable.replicas.all[0]
        while proxy.connections < (1 if scheme == "http" else 2):  # over gRPC, inferences have some of their own
            client.describe("identity")
            client.infer("identity", x_FP32=ONE)
        proxy.fault = stuck_from_now_on(proxy)
        deadline = time.monotonic() + 30
        for opened in (True, False):
            while first.open is not opened:
                with suppress(DeadlineExceeded):  # of what was sent over one of them
                    client.infer("identity", x_FP32=ONE, timeout_s=1)
                assert time.monotonic() < deadline
                time.sleep(0.01)
        for _ in range(2):
            client.infer("identity", x_FP32=ONE)
        assert not first.open


def test_connections_of_a_loop_that_are_stuck_are_left_after_two_late_calls(proxy, scheme):
    async def main() -> None:
        async with AsyncClient(f"{scheme}://127.0.0.1:{proxy.port}", **settings(retries=Retries(attempts=1))) as client:
            proxy.fault = together(3) if scheme == "http" else None
            await asyncio.gather(*(client.describe("identity", timeout_s=30) for _ in range(3)))
            proxy.fault = stuck_from_now_on(proxy)
            for _ in range(2):
                with pytest.raises(DeadlineExceeded):
                    await client.describe("identity", timeout_s=1)
            for _ in range(3):
                assert (await client.describe("identity", timeout_s=30)).name == "identity"

    asyncio.run(main())


def test_keepalive_ends_a_connection_that_is_stuck_in_a_call(proxy, scheme):
    if scheme == "http":
        pytest.skip("over HTTP the kernel probes, and the proxy's kernel answers")
    options = ConnectionOptions(keepalive_s=1)
    with Client(f"grpc://127.0.0.1:{proxy.port}", **settings(options=options, timeout_s=60)) as client:
        client.infer("identity", x_FP32=ONE)
        proxy.fault = stuck_from_now_on(proxy)
        assert client.infer("identity", x_FP32=ONE * 3).y_FP32.item() == 3  # one call, over two connections
        assert proxy.connections > 1


def replica_of(client: Client | AsyncClient) -> Any:
    return client._assembly.reliable.replicas.all[0]


@pytest.mark.parametrize("keepalive_s", [0, 60])
def test_a_call_under_way_outlasts_new_connections(served, scheme, keepalive_s):
    url = served.http_url if scheme == "http" else served.grpc_url
    options = ConnectionOptions(keepalive_s=keepalive_s)  # with pings, gRPC's calls take grpcio's channel
    with Client(url, **settings(timeout_s=30, options=options)) as client, ThreadPoolExecutor(1) as pool:
        client.describe("moody")
        answer = pool.submit(client.infer, "moody", x=ONE * 0.5)
        replica = replica_of(client)
        while not (replica.in_flight or answer.done()):
            time.sleep(0.01)
        replica.transport.renew()
        gc.collect()
        assert client.is_ready("moody")
        assert answer.result(30).y.item() == 0.5

    async def main() -> None:
        async with AsyncClient(url, **settings(timeout_s=30, options=options)) as client:
            await client.describe("moody")
            answer = asyncio.ensure_future(client.infer("moody", x=ONE * 0.5))
            replica = replica_of(client)
            while not (replica.in_flight or answer.done()):
                await asyncio.sleep(0.01)
            replica.transport.renew()
            gc.collect()
            assert await client.is_ready("moody")
            assert (await answer).y.item() == 0.5

    asyncio.run(main())
