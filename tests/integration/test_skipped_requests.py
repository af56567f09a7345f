"""Requests that nobody waits for any more, cancelled or past their deadline, are not computed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skipped_definitions as definitions
from repositories import DEADLINE_S, until

from tritonforge.build import build
from tritonforge.client import AsyncClient, Client, DeadlineExceeded
from tritonforge.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    repository = tmp_path_factory.mktemp("skipped") / "model_repository"
    build([Path(definitions.__file__)], repository)
    with Server.embedded(repository, http_port=0, grpc_port=0, metrics_port=0, exit_timeout_s=0) as running:
        yield running
    definitions.hold().unlink(missing_ok=True)
    definitions.computed().unlink(missing_ok=True)


def computed() -> list[int]:
    return sorted(map(int, definitions.computed().read_text().split()))


def value(number: int) -> np.ndarray[Any, Any]:
    return np.array([[number]])


def while_held(client: Client, model: str, give_up: Any) -> list[int]:
    """Ask for 0, which is held; give up 1, which queues behind it; ask for 2; let go. Give what was computed."""
    definitions.computed().write_text("")
    definitions.hold().touch()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(lambda: client.infer(model, x=value(0)))
        until(computed, "the first request")
        give_up()
        last = pool.submit(lambda: client.infer(model, x=value(2)))
        definitions.hold().unlink()
        assert [answer.result(DEADLINE_S).output.item() for answer in (first, last)] == [0, 2]
    return computed()


@pytest.mark.parametrize(
    ("protocol", "model"),
    [
        ("grpc", "plain"),
        ("grpc", "unbatched"),
        ("grpc", "limited"),
        ("grpc", "chained"),
        ("grpc", "fused_chained"),
        ("grpc", "bls_chained"),
        ("http", "limited"),
        ("http", "chained"),
    ],
)
def test_a_missed_deadline_is_skipped(server: Server, protocol: str, model: str) -> None:
    """Over HTTP the server only knows of one where the model's queue lets a request say it."""
    with Client(server.http_url if protocol == "http" else server.grpc_url) as client:

        def give_up() -> None:
            with pytest.raises(DeadlineExceeded):
                client.infer(model, x=value(1), timeout_s=0.2)

        # The server may come to the request before it hears that it is given up.
        until(lambda: while_held(client, model, give_up) == [0, 2], f"{model} without the request that was given up")


@pytest.mark.parametrize("model", ["plain", "unbatched", "fused_chained", "bls_chained"])
def test_a_cancelled_request_is_skipped(server: Server, model: str) -> None:
    async def cancel() -> None:
        async with AsyncClient(server.grpc_url) as client:
            await client.describe(model)
            task = asyncio.create_task(client.infer(model, x=value(1)))
            done, _ = await asyncio.wait([task], timeout=0.2)
            assert not done
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with Client(server.grpc_url) as client:
        until(
            lambda: while_held(client, model, lambda: asyncio.run(cancel())) == [0, 2],
            f"{model} without the request that was cancelled",
        )
