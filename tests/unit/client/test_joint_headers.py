"""The first calls of a model that have headers of their own: one asks for all, but its failure is its own."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from tritonforge.client import AsyncClient, Client, InvalidRequest, deadline

from .fault_server import ANSWER, FaultServer, Peer
from .small_servers import answer_question
from .test_joint import OPTIONS, PATIENCE_S, Slow, served, until, until_asked, waiting

X = np.array([1, 2], np.float32)
PATH = "/v2/models/m"


@pytest.fixture
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have calls wait for those with other headers also where this machine is slow."""
    monkeypatch.setattr(deadline, "_LONGEST_SHARE_S", PATIENCE_S)


def for_the_good(peer: Peer, request: bytes) -> None:
    if b"x-key: good" in request:
        answer_question(peer, request)
    else:
        peer.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.usefixtures("_patient")
def test_of_threads_one_asks_for_all():
    slow = Slow()
    with served(slow) as url, Client(url, **OPTIONS) as client, ThreadPoolExecutor(12) as pool:
        answers = [pool.submit(client.infer, "m", x=X, headers={"x-request-id": f"r-{at}"}) for at in range(12)]
        until(lambda: slow.asked[PATH] == 1 and waiting(client) == 11)
        slow.let.set()
        assert all(answer.result(PATIENCE_S).y.tolist() == [1, 2] for answer in answers)
    assert slow.descriptions == (1, 1)


@pytest.mark.usefixtures("_patient")
def test_of_tasks_one_asks_for_all():
    async def main(url: str) -> list[Any]:
        async with AsyncClient(url, **OPTIONS) as client:
            calls = [client.infer("m", x=X, headers={"x-request-id": f"r-{at}"}) for at in range(50)]
            running = [asyncio.ensure_future(call) for call in calls]
            await until_asked(slow)
            slow.let.set()
            return await asyncio.gather(*running)

    slow = Slow()
    with served(slow) as url:
        assert [answer.y.tolist() for answer in asyncio.run(main(url))] == [[1, 2]] * 50
    assert slow.descriptions == (1, 1)


@pytest.mark.usefixtures("_patient")
def test_what_one_is_refused_is_told_to_no_other_of_whom_one_asks():
    slow = Slow(for_the_good)
    with served(slow) as url, Client(url, **OPTIONS) as client, ThreadPoolExecutor(7) as pool:
        bad = pool.submit(client.infer, "m", x=X, headers={"x-key": "bad"})
        until(lambda: slow.asked[PATH] == 1)
        good = [pool.submit(client.infer, "m", x=X, headers={"x-key": "good"}) for _ in range(6)]
        until(lambda: waiting(client) == 6)
        slow.let.set()
        assert all(answer.result(PATIENCE_S).y.tolist() == [1, 2] for answer in good)
        with pytest.raises(InvalidRequest):
            bad.result(PATIENCE_S)
    assert slow.descriptions == (2, 1)


def test_who_hangs_for_its_headers_keeps_no_other_from_asking():
    """As a proxy may, which sends each tenant to servers of its own."""

    def serve(peer: Peer) -> None:
        while request := peer.request():
            if b"x-tenant: a" in request:
                reached.set()
                let.wait(PATIENCE_S)
            answer_question(peer, request) if request.startswith(b"GET") else peer.send(ANSWER)

    reached, let = threading.Event(), threading.Event()
    with FaultServer(serve) as server, Client(server.url, **OPTIONS) as client, ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(client.infer, "m", x=X, headers={"x-tenant": "a"})
        try:
            assert reached.wait(PATIENCE_S)
            assert client.infer("m", x=X, headers={"x-tenant": "b"}, timeout_s=10).y.tolist() == [1, 2]
            assert not hanging.done()
        finally:
            let.set()
        assert hanging.result(PATIENCE_S).y.tolist() == [1, 2]
