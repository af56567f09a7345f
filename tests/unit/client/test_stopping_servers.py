"""A server that goes away amid many calls, beside one that stays: each call goes on there."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import numpy as np
import pytest

from tritonforge.client import AsyncClient, Client, Retries, ServerUnavailable

from .fault_server import FaultServer, Peer
from .small_servers import answer_question, serve_model

X = np.array([1, 2], np.float32)
CALLS = 64


class Stops:
    """Answers questions, and breaks off inferences once so many are under way, one after the other or all at once."""

    def __init__(self, under_way: int, apart_s: float = 0.0) -> None:
        self._all_there = threading.Barrier(under_way)
        self._apart_s = apart_s

    def __call__(self, peer: Peer) -> None:
        while request := peer.request():
            if request.startswith(b"POST"):
                place = self._all_there.wait(20)
                time.sleep(place * self._apart_s)
                return
            answer_question(peer, request)


async def outcomes(urls: list[str], retries: Retries) -> list[Any]:
    async with AsyncClient(urls, timeout_s=30, tracing=False, retries=retries) as client:
        await client.describe("m")
        calls = [client.infer("m", x=X) for _ in range(CALLS)]
        return await asyncio.gather(*calls, return_exceptions=True)


@pytest.mark.parametrize("apart_s", [0.0, 0.005])
def test_all_that_it_breaks_off_goes_on(apart_s: float) -> None:
    """Those that have gone on and ended meanwhile are under way no more, and had the budget's loan."""
    with FaultServer(Stops(CALLS // 2, apart_s)) as stopping, FaultServer(serve_model) as good:
        found = asyncio.run(outcomes([stopping.url, good.url], Retries()))
    assert [result.y.tolist() for result in found] == [[1, 2]] * CALLS


class Tires:
    """Closes each connection after some answers, amid the next request, as a proxy does; it counts its answers."""

    def __init__(self) -> None:
        self.answered = 0

    def __call__(self, peer: Peer) -> None:
        for _ in range(20):
            if not (request := peer.request()):
                return
            self.answered += request.startswith(b"POST")
            answer_question(peer, request)
        peer.request()


def test_one_whose_kept_connections_end_now_and_then_is_not_left_out() -> None:
    tires = Tires()
    with (
        FaultServer(tires) as tiring,
        FaultServer(serve_model) as good,
        Client([tiring.url, good.url], timeout_s=30, tracing=False) as client,
    ):
        for _ in range(400):
            assert client.infer("m", x=X).y.tolist() == [1, 2]
    assert tires.answered > 100


@pytest.mark.parametrize("retries", [Retries(burst=0), Retries(budget=0, burst=10)])
def test_but_no_more_than_who_wants_a_strict_budget_allows(retries: Retries) -> None:
    with FaultServer(Stops(CALLS // 2)) as stopping, FaultServer(serve_model) as good:
        found = asyncio.run(outcomes([stopping.url, good.url], retries))
    failed = [each for each in found if isinstance(each, ServerUnavailable)]
    assert len(found) - len(failed) <= CALLS // 2 + retries.burst + round(retries.budget * (CALLS + 1))
    assert failed
