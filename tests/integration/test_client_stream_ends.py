"""That a model can be unloaded after streams over gRPC that were read to their ends."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator

import numpy as np
import pytest

from tritonforge.build import build
from tritonforge.client import AsyncClient, Client, InferenceFailed
from tritonforge.server import Server

PATIENCE_S = 30.0
STREAMS = 60
COUNT = """
from collections.abc import Iterator

import numpy as np
from jaxtyping import Int32

from tritonforge import TritonError, model


@model
def upto(n: Int32[np.ndarray, "1"]) -> Iterator[Int32[np.ndarray, "1"]]:
    for number in range(abs(int(n[0]))):
        yield np.array([number], np.int32)
    if n[0] < 0:
        raise TritonError("below zero")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    project = tmp_path_factory.mktemp("upto")
    (project / "upto_stream.py").write_text(COUNT)
    build((project / "upto_stream.py",), project / "repository")
    sys.modules.pop("upto_stream", None)
    ports = {"http_port": 0, "grpc_port": 0, "metrics_port": 0}
    with Server.embedded(project / "repository", model_control="explicit", exit_timeout_s=0, **ports) as server:
        yield server


def unload(server: Server) -> None:
    """Wait for all of the model to be gone, and load it anew."""
    words = "successfully unloaded 'upto'"
    before, deadline = server.log_text().count(words), time.monotonic() + PATIENCE_S
    server.unload("upto")
    while server.log_text().count(words) == before:
        assert time.monotonic() < deadline, "a stream holds the model"
        time.sleep(0.05)
    server.load("upto")


def asked(n: int) -> dict[str, np.ndarray]:
    return {"n": np.array([n], np.int32)}


def test_streams_that_are_read_to_their_ends_hold_no_model(server):
    with Client(server.grpc_url) as client:
        for _ in range(STREAMS):
            assert len(list(client.stream("upto", asked(3)))) == 3
    unload(server)


def test_streams_that_end_in_an_error_hold_no_model(server):
    with Client(server.grpc_url) as client:
        for _ in range(STREAMS):
            with pytest.raises(InferenceFailed, match="below zero"):
                list(client.stream("upto", asked(-1)))
    unload(server)


def test_streams_of_an_event_loop_hold_no_model(server):
    async def main() -> None:
        async with AsyncClient(server.grpc_url) as client:

            async def read() -> int:
                return len([result async for result in client.stream("upto", asked(3))])

            for _ in range(STREAMS // 4):
                assert await asyncio.gather(*[read() for _ in range(4)]) == [3] * 4

    asyncio.run(main())
    unload(server)
