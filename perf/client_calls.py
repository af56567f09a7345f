"""The calls that perf/bench_client.py compares: ours, tritonclient's, and prepared bytes; one row, a deadline."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import grpc
import numpy as np
import tritonclient.grpc

from tritonforge.client import AsyncClient, Client
from tritonforge.client.grpc.exchange import INFER
from tritonforge.client.grpc.wire import serialize_request
from tritonforge.client.http.message import write_request
from tritonforge.client.message import Request, Tensor
from tritonforge.server import Server

__all__ = ["MODEL", "Call", "addresses", "async_ours", "async_theirs", "ours", "prepared", "raw", "theirs"]

MODEL, INPUT, OUTPUT = "fused", "features", "label"
ROW = np.random.default_rng(0).random((1, 30), np.float32)
TIMEOUT_S = 30

Call = Callable[[], Any]


def addresses(server: Server) -> tuple[str, str]:
    """Give host:port of HTTP and gRPC."""
    return urlsplit(server.http_url).netloc, urlsplit(server.grpc_url).netloc


def ours(client: Client) -> Call:
    """Call through our client."""
    return lambda: client.infer(MODEL, features=ROW, timeout_s=TIMEOUT_S)[OUTPUT]


def theirs(module: Any, client: Any) -> Call:
    """Call through tritonclient."""

    limit = time_limit(module)

    def call() -> Any:
        tensor = module.InferInput(INPUT, ROW.shape, "FP32")
        tensor.set_data_from_numpy(ROW)
        return client.infer(MODEL, [tensor], **limit).as_numpy(OUTPUT)

    return call


def async_ours(client: AsyncClient) -> Callable[[], Awaitable[Any]]:
    """Call through our client for event loops."""

    async def call() -> Any:
        return (await client.infer(MODEL, features=ROW, timeout_s=TIMEOUT_S))[OUTPUT]

    return call


def async_theirs(module: Any, client: Any) -> Callable[[], Awaitable[Any]]:
    """Call through tritonclient's for event loops."""

    limit = time_limit(module)

    async def call() -> Any:
        tensor = module.InferInput(INPUT, ROW.shape, "FP32")
        tensor.set_data_from_numpy(ROW)
        return (await client.infer(MODEL, [tensor], **limit)).as_numpy(OUTPUT)

    return call


def time_limit(module: Any) -> dict[str, float]:
    """Give tritonclient's option for a call's deadline; over HTTP its client has one for all calls, 60 s by itself."""
    return {"client_timeout": TIMEOUT_S} if module is tritonclient.grpc else {}


def prepared(address: str) -> Call:
    """Send a prepared message through grpcio: the least that a call over it takes."""
    call = grpc.insecure_channel(address).unary_unary(INFER)
    message = serialize_request(Request(MODEL, (Tensor(INPUT, "FP32", ROW.shape, ROW.tobytes()),)))
    return lambda: call(message, timeout=TIMEOUT_S)


def raw(address: str) -> Call:
    """Send prepared bytes and read once: the answer to one row fits."""
    host, _, port = address.rpartition(":")
    connection = socket.create_connection((host, int(port)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    header = write_request(Request(MODEL, (Tensor(INPUT, "FP32", ROW.shape, ROW.tobytes()),)))
    head = (
        f"POST /v2/models/{MODEL}/infer HTTP/1.1\r\nHost: {address}\r\n"
        f"Content-Length: {len(header) + ROW.nbytes}\r\nInference-Header-Content-Length: {len(header)}\r\n\r\n"
    )
    request = head.encode() + header + ROW.tobytes()

    def call() -> Any:
        connection.sendall(request)
        return connection.recv(1 << 16)

    return call
