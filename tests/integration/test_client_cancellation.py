"""That a stream which the client gives up ends the generator in the server: it writes a file as it is closed."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from repositories import FREE_PORTS, renewed

from tritonforge.build import build
from tritonforge.client import AsyncClient, Client
from tritonforge.server import Server

PATIENCE_S = 20.0
ENDLESS = """
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Int32

from tritonforge import model


@model
def endless(call: Int32[np.ndarray, "1"]) -> Iterator[Int32[np.ndarray, "1"]]:
    try:
        for number in itertools.count():
            yield np.array([number], np.int32)
            time.sleep(0.005)
    finally:
        (Path(FOLDER) / str(call[0])).write_text(str(number))
"""


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which each stream that has ended leaves a file."""
    return tmp_path_factory.mktemp("ended")


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory, ended: Path) -> Iterator[Callable[[], Server]]:
    project = tmp_path_factory.mktemp("endless")
    (project / "endless_stream.py").write_text(ENDLESS.replace("FOLDER", repr(str(ended))))
    build((project / "endless_stream.py",), project / "repository")
    sys.modules.pop("endless_stream", None)
    with renewed(lambda: Server.embedded(project / "repository", **FREE_PORTS, exit_timeout_s=0)) as serving:
        yield serving


@pytest.fixture
def url(serving: Callable[[], Server]) -> str:
    return serving().grpc_url


def call(number: int) -> dict[str, np.ndarray]:
    return {"call": np.array([number], np.int32)}


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not file.exists():
        assert time.monotonic() < deadline, "the generator goes on in the server"
        time.sleep(0.01)


def test_closing_a_stream_ends_its_generator_and_no_other(url, ended):
    with Client(url) as client:
        kept, given_up = client.stream("endless", call(1)), client.stream("endless", call(2))
        assert next(kept).output.item() == next(given_up).output.item() == 0
        assert not (ended / "2").exists()
        given_up.close()
        wait_for(ended / "2")
        assert not (ended / "1").exists()
        assert next(kept).output.item() == 1
        kept.close()
        wait_for(ended / "1")


def test_a_deadline_that_passes_ends_the_generator(url, ended):
    with Client(url) as client, pytest.raises(TimeoutError):
        for _ in client.stream("endless", call(3), timeout_s=0.5):
            pass
    wait_for(ended / "3")


def test_cancelling_a_task_ends_the_generator_of_its_stream(url, ended):
    async def ask() -> None:
        async with AsyncClient(url) as client:
            began = asyncio.Event()

            async def read() -> None:
                async for _ in client.stream("endless", call(4)):
                    began.set()

            task = asyncio.create_task(read())
            await asyncio.wait_for(began.wait(), PATIENCE_S)
            assert not (ended / "4").exists()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.to_thread(wait_for, ended / "4")

    asyncio.run(ask())
