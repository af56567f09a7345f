"""A call that fails leaves nothing behind: what it was made of goes with it, without waiting for the collector."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from tritonforge.client import AsyncClient, Client, Retries
from tritonforge.client.errors import ClientError
from tritonforge.client.metadata import ServedModel
from tritonforge.client.tensors.kinds import Known

from .fault_server import ANSWER, FaultServer
from .test_fast_path import LEARNED, WARM_UP, Server
from .test_grpc_fast_path import PIECES, SIGNATURE, Wire

OPTIONS: dict[str, Any] = {"tracing": False, "retries": Retries(attempts=1)}
REFUSED = b'HTTP/1.1 400 Bad Request\r\nContent-Length: 14\r\n\r\n{"error":"no"}'
LONG_ENOUGH_S = 1.2
"""More than what a socket waits by itself: a call with less of it asks the kernel first."""
FAULTS: dict[str, Callable[[], FaultServer]] = {
    "http, dropped": lambda: Server(None, warm_up=LEARNED),
    "http, garbled": lambda: Server(b"nothing that anybody reads\r\n\r\n", warm_up=LEARNED),
    "http, half an answer": lambda: Server(ANSWER[:-3], warm_up=LEARNED),
    "http, refused": lambda: Server(REFUSED, warm_up=LEARNED),
    "http, busy": lambda: Server(REFUSED.replace(b"400", b"503"), warm_up=LEARNED),
    **{f"grpc, {name}": lambda name=name: Wire(PIECES[name]) for name in ("closed", "no frames", "another status")},
    "grpc, refused": lambda: Wire(PIECES["refused"]),
}


def calls_before(fault: str) -> int:
    """Tell how many calls go well before the one that fails."""
    return LEARNED if fault.startswith("http") else WARM_UP


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def known(client: Client | AsyncClient, *, fast: bool) -> None:
    """Have the client know the model: such servers answer no questions. Where not `fast`, all calls pass the layers."""
    client._calls.catalog.models["m", ""] = Known(ServedModel("m", ("3",), "python", SIGNATURE, 0))
    if not fast:
        client._calls.fast = client._calls.async_fast = None


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("fault", FAULTS)
def test_of_a_call_that_blocks(fault: str, fast: bool) -> None:
    with FAULTS[fault]() as server, Client(server.url, **OPTIONS) as client:
        known(client, fast=fast)
        for _ in range(calls_before(fault)):
            client.infer("m", x=np.arange(3, dtype=np.float32))
        x = np.arange(3, dtype=np.float32)
        left = weakref.ref(x)
        with suppress(ClientError):
            client.infer("m", x=x, timeout_s=LONG_ENOUGH_S)
        del x
        assert left() is None


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("fault", FAULTS)
def test_of_a_call_in_an_event_loop(fault: str, fast: bool) -> None:
    async def main(url: str) -> None:
        async with AsyncClient(url, **OPTIONS) as client:
            known(client, fast=fast)
            for _ in range(calls_before(fault)):
                await client.infer("m", x=np.arange(3, dtype=np.float32))
            x = np.arange(3, dtype=np.float32)
            left = weakref.ref(x)
            with suppress(ClientError):
                await client.infer("m", x=x, timeout_s=LONG_ENOUGH_S)
            del x
            await asyncio.sleep(0)  # the loop has what it called until its next turn
            assert left() is None

    with FAULTS[fault]() as server:
        asyncio.run(main(server.url))
