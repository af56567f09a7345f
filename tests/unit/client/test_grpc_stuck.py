"""Large messages over grpcio, to servers that stop reading amid them: calls end in time, and so does closing."""

from __future__ import annotations

import asyncio
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import DeadlineExceeded
from tritonforge.client.grpc.async_transport import AsyncGrpcTransport
from tritonforge.client.grpc.transport import GrpcTransport
from tritonforge.client.message import Request, Tensor
from tritonforge.client.options import ConnectionOptions
from tritonforge.client.url import Endpoint

from .fault_server import FaultServer, Peer
from .http2_frames import SETTINGS, WINDOW, frame

WIDE = frame(SETTINGS, 0, 0, struct.pack(">HI", 4, (1 << 31) - 1)) + frame(WINDOW, 0, 0, struct.pack(">I", 1 << 30))
DATA = np.random.default_rng(0).bytes(1 << 24)  # which no compression makes small
REQUEST = Request("m", (Tensor("x", "UINT8", (len(DATA),), DATA),))
OVER_GRPCIO = {"compression": ConnectionOptions(compression="gzip"), "keepalive": ConnectionOptions(keepalive_s=60)}
FAR_TOO_LATE_S = 30.0


def read_some(peer: Peer) -> None:
    peer.send(WIDE)
    came = 0
    while came < 1 << 18:
        size = len(peer._connection.recv(1 << 16))
        if not size:
            return
        came += size
    peer.hold()


@contextmanager
def in_time() -> Iterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < FAR_TOO_LATE_S


@contextmanager
def transport_to(server: FaultServer, options: ConnectionOptions) -> Iterator[GrpcTransport]:
    transport = GrpcTransport(Endpoint("grpc", "127.0.0.1", server.port), options)
    yield transport
    closing = threading.Thread(target=transport.close, daemon=True)
    closing.start()
    closing.join(FAR_TOO_LATE_S)
    assert not closing.is_alive()


@pytest.mark.parametrize("options", OVER_GRPCIO.values(), ids=OVER_GRPCIO)
def test_a_call_that_blocks_ends_in_time(options):
    with (
        in_time(),
        FaultServer(read_some) as server,
        transport_to(server, options) as transport,
        pytest.raises(DeadlineExceeded),
    ):
        transport.infer(REQUEST, Deadline(2))


def test_so_does_a_stream():
    with (
        in_time(),
        FaultServer(read_some) as server,
        transport_to(server, ConnectionOptions()) as transport,
        pytest.raises(DeadlineExceeded),
    ):
        list(transport.stream(REQUEST, Deadline(2)))


def test_closing_ends_a_call_that_is_stuck():
    failures: list[Exception] = []

    def call(transport: GrpcTransport) -> None:
        try:
            transport.infer(REQUEST, Deadline(60))
        except Exception as error:
            failures.append(error)

    with in_time(), FaultServer(read_some) as server:
        with transport_to(server, OVER_GRPCIO["keepalive"]) as transport:
            calling = threading.Thread(target=call, args=(transport,), daemon=True)
            calling.start()
            time.sleep(0.5)
        calling.join(FAR_TOO_LATE_S)
    assert [str(failure) for failure in failures] == [f"the client of grpc://127.0.0.1:{server.port} is closed"]


def test_so_does_a_stream_in_a_loop():
    async def main(port: int) -> None:
        transport = AsyncGrpcTransport(Endpoint("grpc", "127.0.0.1", port))
        with pytest.raises(DeadlineExceeded):
            async for _ in transport.stream(REQUEST, Deadline(2)):
                pass
        await transport.close()

    with in_time(), FaultServer(read_some) as server:
        asyncio.run(main(server.port))


def test_a_stream_in_a_loop_that_is_stuck_can_be_cancelled_and_its_client_closed():
    async def consume(transport: AsyncGrpcTransport) -> None:
        async for _ in transport.stream(REQUEST, Deadline(60)):
            pass

    async def main(port: int) -> None:
        transport = AsyncGrpcTransport(Endpoint("grpc", "127.0.0.1", port))
        tasks = [asyncio.ensure_future(consume(transport)) for _ in range(2)]
        await asyncio.sleep(0.5)
        tasks[0].cancel()
        await asyncio.wait([tasks[0]])
        assert tasks[0].cancelled()
        await transport.close()
        with pytest.raises(RuntimeError, match="is closed"):
            await tasks[1]

    with in_time(), FaultServer(read_some) as server:
        asyncio.run(main(server.port))


@pytest.mark.parametrize("options", OVER_GRPCIO.values(), ids=OVER_GRPCIO)
def test_a_call_in_a_loop_ends_in_time(options):
    async def main(port: int) -> None:
        transport = AsyncGrpcTransport(Endpoint("grpc", "127.0.0.1", port), options)
        with pytest.raises(DeadlineExceeded):
            await transport.infer(REQUEST, Deadline(2))
        await transport.close()

    with in_time(), FaultServer(read_some) as server:
        asyncio.run(main(server.port))
