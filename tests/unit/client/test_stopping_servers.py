"""A server that goes away amid many calls, beside one that stays: each call goes on there."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import numpy as np
import pytest

from tritonforge.client import AsyncClient, Retries, ServerUnavailable

from .fault_server import FaultServer, Peer
from .small_servers import answer_question, serve_model

X = np.array([1, 2], np.float32)
CALLS = 64


class Stops:
    """Answers questions, and breaks off inferences once so many are under way."""

    def __init__(self, under_way: int) -> None:
        self._all_there = threading.Barrier(under_way)

    def __call__(self, peer: Peer) -> None:
        while request := peer.request():
            if request.startswith(b"POST"):
                self._all_there.wait(20)
                return
            answer_question(peer, request)


async def outcomes(urls: list[str], retries: Retries) -> list[Any]:
    async with AsyncClient(urls, timeout_s=30, tracing=False, retries=retries) as client:
        await client.describe("m")
        calls = [client.infer("m", x=X) for _ in range(CALLS)]
        return await asyncio.gather(*calls, return_exceptions=True)


def test_all_that_it_breaks_off_goes_on() -> None:
    with FaultServer(Stops(CALLS // 2)) as stopping, FaultServer(serve_model) as good:
        found = asyncio.run(outcomes([stopping.url, good.url], Retries()))
    assert [result.y.tolist() for result in found] == [[1, 2]] * CALLS


@pytest.mark.parametrize("retries", [Retries(burst=0), Retries(budget=0, burst=10)])
def test_but_no_more_than_who_wants_a_strict_budget_allows(retries: Retries) -> None:
    with FaultServer(Stops(CALLS // 2)) as stopping, FaultServer(serve_model) as good:
        found = asyncio.run(outcomes([stopping.url, good.url], retries))
    failed = [each for each in found if isinstance(each, ServerUnavailable)]
    assert len(found) - len(failed) <= CALLS // 2 + retries.burst + round(retries.budget * (CALLS + 1))
    assert failed
