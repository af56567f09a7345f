"""A GPU and a server that are stand-ins, and a client between them."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tritonforge.client import Client, assembly
from tritonforge.client.cuda import shared as cuda_shared
from tritonforge.client.cuda.driver import CudaDriver

from .cuda_server import CudaServer, markers
from .cuda_stand_in import StandIn


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """The driver that clients load."""
    gpu = StandIn()
    driver = CudaDriver(gpu)
    monkeypatch.setattr(cuda_shared, "load_driver", lambda: driver)
    return gpu


@pytest.fixture
def cuda_server(monkeypatch: pytest.MonkeyPatch) -> CudaServer:
    """The server that clients of both kinds reach, whatever the URL."""
    server = CudaServer()
    monkeypatch.setattr(assembly, "Blocking", lambda transport: transport)
    monkeypatch.setattr(assembly, "open_transport", lambda *_: server)
    monkeypatch.setattr(assembly, "open_async_transport", lambda *_: server)
    return server


@pytest.fixture
def cuda_client(gpu: StandIn, cuda_server: CudaServer) -> Iterator[Client]:
    """A client of that server; at the end nothing is left of its memory."""
    with Client(cuda_server.url) as client:
        yield client
    cuda_server.refusal = None  # its traceback has what calls had
    gc.collect()
    assert not gpu.memory
    assert not markers()
