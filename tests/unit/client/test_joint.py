"""The first calls of a model: one of them asks what describes it, and the others wait for that."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pytest

from tritonforge.client import (
    AsyncClient,
    Client,
    ClientError,
    DeadlineExceeded,
    InvalidRequest,
    ModelNotFound,
    Retries,
)

from .fault_server import ANSWER, FaultServer, Peer
from .small_servers import answer_question, ok
from .test_forks import in_child
from .test_loops import run_in, running_loops

X = np.array([1, 2], np.float32)
PATIENCE_S = 20.0
OPTIONS: dict[str, Any] = {"timeout_s": PATIENCE_S, "tracing": False}
UNKNOWN = b'{"error":"Request for unknown model: \'m\' is not found"}'


class Slow:
    """A server with the model "m" that says what describes it once it is let; it counts what it was asked."""

    def __init__(self, answer: Callable[[Peer, bytes], None] = answer_question) -> None:
        self.asked: Counter[str] = Counter()
        self.let = threading.Event()
        self.answer = answer
        self._lock = threading.Lock()

    def __call__(self, peer: Peer) -> None:
        while request := peer.request():
            if request.startswith(b"POST"):
                peer.send(ANSWER)
                continue
            with self._lock:
                self.asked[request.split(b" ")[1].decode()] += 1
            if request.startswith(b"GET /v2/models/m "):
                self.let.wait(PATIENCE_S)
            self.answer(peer, request)

    @property
    def descriptions(self) -> tuple[int, int]:
        return self.asked["/v2/models/m"], self.asked["/v2/models/m/config"]


def unknown(peer: Peer, request: bytes) -> None:
    peer.send(ok(UNKNOWN).replace(b"200 OK", b"404 Not Found"))


@contextmanager
def served(slow: Slow) -> Iterator[str]:
    with FaultServer(slow) as server:
        try:
            yield server.url
        finally:
            slow.let.set()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


async def until_asked(slow: Slow, times: int = 1) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while slow.asked["/v2/models/m"] < times:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


def kinds(results: list[Any]) -> Counter[str]:
    return Counter(type(result).__name__ for result in results)


def waiting(client: Client) -> int:
    """Count the threads that wait for what another asks."""
    return sum(len(work._bells) for work in list(client._calls.catalog._joint.works().values()))


def in_threads(client: Client, count: int, slow: Slow) -> list[Any]:
    """Call in so many threads at once, before there is an answer to what any of them asks."""

    def call(_: int) -> Any:
        try:
            return client.infer("m", x=X)
        except ClientError as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        answers = [pool.submit(call, number) for number in range(count)]
        until(lambda: slow.asked["/v2/models/m"] > 0 and waiting(client) == count - 1)
        slow.let.set()
        return [answer.result(PATIENCE_S) for answer in answers]


async def in_tasks(client: AsyncClient, count: int, slow: Slow) -> list[Any]:
    calls = [asyncio.ensure_future(client.infer("m", x=X)) for _ in range(count)]
    await until_asked(slow)
    slow.let.set()
    return await asyncio.gather(*calls, return_exceptions=True)


def both(slow: Slow, count: int) -> Iterator[list[Any]]:
    """Make so many calls at once of new clients, that block and in a loop."""

    async def main(url: str) -> list[Any]:
        async with AsyncClient(url, **OPTIONS) as client:
            return await in_tasks(client, count, slow)

    with served(slow) as url:
        with Client(url, **OPTIONS) as client:
            yield in_threads(client, count, slow)
        slow.let.clear()
        slow.asked.clear()
        yield asyncio.run(main(url))


def test_one_asks_for_all():
    slow = Slow()
    for results in both(slow, 12):
        assert kinds(results) == {"Result": 12}
        assert slow.descriptions == (1, 1)


def test_what_the_server_says_is_told_to_all_each_by_an_error_of_its_own():
    slow = Slow(unknown)
    for results in both(slow, 12):
        assert kinds(results) == {"ModelNotFound": 12}
        assert len({id(error) for error in results}) == 12
        assert all(error.code == "404" and error.model == "m" for error in results)
        assert slow.asked["/v2/models/m"] == 1
        assert len({id(error.__traceback__) for error in results}) == 12


def test_so_is_that_no_server_is_there():
    def drop(peer: Peer, request: bytes) -> None:
        peer.reset()

    slow = Slow(drop)
    attempts = Retries().attempts
    for results in both(slow, 12):
        assert kinds(results) == {"ServerUnavailable": 12}
        assert all(error.sent is False for error in results)
        assert slow.asked["/v2/models/m"] <= attempts


def test_each_waits_within_its_own_time_and_another_asks_where_that_of_who_asked_is_up():
    async def main(url: str) -> None:
        async with AsyncClient(url, **OPTIONS) as client:
            short = asyncio.ensure_future(client.infer("m", x=X, timeout_s=0.3))
            await until_asked(slow)
            long = [asyncio.ensure_future(client.infer("m", x=X)) for _ in range(3)]
            with pytest.raises(DeadlineExceeded):
                await short
            await until_asked(slow, 2)
            await asyncio.sleep(0)
            assert slow.asked["/v2/models/m"] == 2
            slow.let.set()
            assert kinds(await asyncio.gather(*long)) == {"Result": 3}

    slow = Slow()
    with served(slow) as url:
        asyncio.run(main(url))
    assert slow.descriptions == (2, 1)


def test_who_has_less_time_than_who_asks_is_late_by_its_own():
    slow = Slow()
    with served(slow) as url, Client(url, **OPTIONS) as client, ThreadPoolExecutor(1) as pool:
        long = pool.submit(client.infer, "m", x=X)
        until(lambda: slow.asked["/v2/models/m"] == 1)
        with pytest.raises(DeadlineExceeded, match=r"no answer within 0\.2 s") as caught:
            client.infer("m", x=X, request_id="r-7", timeout_s=0.2)
        assert (caught.value.sent, caught.value.request_id) == (False, "r-7")
        slow.let.set()
        assert long.result(PATIENCE_S).y.tolist() == [1, 2]


def test_who_has_less_time_than_who_asks_a_server_that_hangs_asks_another():
    """Who asks gives the first server a share of the time, which may be all that another call has."""
    path, one, two = "/v2/models/m", Slow(), Slow()
    with (
        served(one) as url,
        served(two) as other,
        Client([url, other], **OPTIONS) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        long = pool.submit(client.infer, "m", x=X, timeout_s=600)
        until(lambda: one.asked[path] + two.asked[path] == 1)
        hanging, well = (one, two) if one.asked[path] else (two, one)
        well.let.set()
        assert client.infer("m", x=X, timeout_s=2).y.tolist() == [1, 2]
        assert well.descriptions == (1, 1)
        hanging.let.set()
        assert long.result(PATIENCE_S).y.tolist() == [1, 2]


def test_where_who_asks_is_cancelled_another_does():
    async def main(url: str) -> None:
        async with AsyncClient(url, **OPTIONS) as client:
            first = asyncio.ensure_future(client.infer("m", x=X))
            await until_asked(slow)
            others = [asyncio.ensure_future(client.infer("m", x=X)) for _ in range(5)]
            await asyncio.sleep(0)
            first.cancel()
            await until_asked(slow, 2)
            slow.let.set()
            assert kinds(await asyncio.gather(*others)) == {"Result": 5}
            with pytest.raises(asyncio.CancelledError):
                await first

    slow = Slow()
    with served(slow) as url:
        asyncio.run(main(url))
    assert slow.descriptions == (2, 1)


def test_who_waits_can_be_cancelled():
    async def main(url: str) -> None:
        async with AsyncClient(url, **OPTIONS) as client:
            first = asyncio.ensure_future(client.infer("m", x=X))
            await until_asked(slow)
            other = asyncio.ensure_future(client.infer("m", x=X))
            await asyncio.sleep(0)
            other.cancel()
            with pytest.raises(asyncio.CancelledError):
                await other
            slow.let.set()
            assert (await first).y.tolist() == [1, 2]

    slow = Slow()
    with served(slow) as url:
        asyncio.run(main(url))
    assert slow.descriptions == (1, 1)


def test_a_request_that_does_not_fit_what_another_was_told_has_it_asked_anew():
    """The other may have asked before the model was loaded anew."""
    slow = Slow()

    async def main(url: str) -> None:
        async with AsyncClient(url, **OPTIONS) as client:
            first = asyncio.ensure_future(client.infer("m", x=X))
            await until_asked(slow)
            wrong = asyncio.ensure_future(client.infer("m", x=X.astype(np.float64)))
            await asyncio.sleep(0)
            slow.let.set()
            assert (await first).y.tolist() == [1, 2]
            with pytest.raises(InvalidRequest, match=r"FP64\[2\] given"):
                await wrong

    with served(slow) as url:
        asyncio.run(main(url))
    assert slow.descriptions == (2, 2)


def test_a_loop_that_stands_still_keeps_no_other_waiting():
    slow = Slow()
    with served(slow) as url, running_loops(2) as loops:
        client = AsyncClient(url, **OPTIONS)
        stop = threading.Event()
        first = asyncio.run_coroutine_threadsafe(client.infer("m", x=X), loops[0])
        until(lambda: slow.asked["/v2/models/m"] == 1)
        loops[0].call_soon_threadsafe(stop.wait, PATIENCE_S)
        slow.let.set()
        try:
            assert run_in(loops[1], client.infer("m", x=X)).y.tolist() == [1, 2]
        finally:
            stop.set()
        assert first.result(PATIENCE_S).y.tolist() == [1, 2]
        run_in(loops[0], client.close())


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # CPython 3.12
def test_a_forked_child_does_not_wait_for_a_thread_of_its_parents():
    slow = Slow()
    with served(slow) as url, Client(url, **OPTIONS) as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.infer, "m", x=X)
        until(lambda: slow.asked["/v2/models/m"] == 1)

        def ask_too() -> None:
            with suppress(DeadlineExceeded):
                client.infer("m", x=X, timeout_s=5)

        asking = threading.Thread(target=lambda: until(lambda: slow.asked["/v2/models/m"] == 2) or slow.let.set())
        asking.start()
        assert in_child(ask_too)
        asking.join(PATIENCE_S)
        assert slow.asked["/v2/models/m"] == 2
        assert first.result(PATIENCE_S).y.tolist() == [1, 2]


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_collector")
def test_nothing_is_left_of_calls_that_block_and_failed():
    def call(array: np.ndarray) -> None:
        with suppress(ModelNotFound):
            client.infer("m", x=array)

    slow = Slow(unknown)
    with served(slow) as url, Client(url, **OPTIONS) as client:
        arrays = [X.copy() for _ in range(4)]
        left = [weakref.ref(array) for array in arrays]
        threads = [threading.Thread(target=call, args=(arrays.pop(),)) for _ in range(4)]
        for thread in threads:
            thread.start()
        until(lambda: slow.asked["/v2/models/m"] == 1 and waiting(client) == 3)
        slow.let.set()
        while threads:
            threads.pop().join(PATIENCE_S)
        del thread
        assert sum(array() is not None for array in left) == 0
    assert slow.asked["/v2/models/m"] == 1


@pytest.mark.usefixtures("_no_collector")
def test_nothing_is_left_of_calls_in_a_loop_that_failed():
    slow = Slow(unknown)

    async def main(url: str) -> None:
        async with AsyncClient(url, **OPTIONS) as client:
            arrays = [X.copy() for _ in range(4)]
            left = [weakref.ref(array) for array in arrays]
            calls = [asyncio.ensure_future(client.infer("m", x=arrays.pop())) for _ in range(4)]
            await until_asked(slow)
            slow.let.set()
            await asyncio.wait(calls)
            assert all(isinstance(call.exception(), ModelNotFound) for call in calls)
            calls.clear()
            await asyncio.sleep(0)  # the loop has what it called until its next turn
            assert sum(array() is not None for array in left) == 0

    with served(slow) as url:
        asyncio.run(main(url))
    assert slow.asked["/v2/models/m"] == 1


def test_a_handler_of_a_signal_does_not_wait_for_what_its_own_thread_asks():
    slow, answers = Slow(), []

    def handle(*_: object) -> None:
        slow.let.set()
        answers.append(client.infer("m", x=X).y.tolist())

    def interrupt() -> None:
        until(lambda: slow.asked["/v2/models/m"] == 1)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        with served(slow) as url, Client(url, **OPTIONS) as client:
            interrupting = threading.Thread(target=interrupt)
            interrupting.start()
            answers.append(client.infer("m", x=X).y.tolist())
            interrupting.join(PATIENCE_S)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert answers == [[1, 2]] * 2
    assert slow.asked["/v2/models/m"] == 2
