"""What belongs to one event loop: each has its own, and nothing of it is left once the loop has ended."""

from __future__ import annotations

import asyncio
import gc
import queue
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import grpc.aio
import numpy as np
import pytest

from tritonforge.client import AsyncClient, ClientError, ConnectionOptions
from tritonforge.client.concurrency.loops import PerLoop
from tritonforge.client.deadline import Deadline
from tritonforge.client.message import Request

from .fault_server import FaultServer, Peer
from .small_servers import grpc_server, serve_model
from .test_forks import in_child

PATIENCE_S = 20.0


class Thing:
    """What notes the loop in which it was made, and whether that was still open when it was closed."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.closed_in: list[asyncio.AbstractEventLoop | None] = []

    def close(self) -> None:
        self.closed_in.append(None if self.loop.is_closed() else asyncio.get_running_loop())


async def get(things: PerLoop[Thing]) -> Thing:
    return things.get()


@contextmanager
def running_loops(count: int) -> Iterator[list[asyncio.AbstractEventLoop]]:
    """Give loops that run, each in its thread."""
    loops = [asyncio.new_event_loop() for _ in range(count)]
    threads = [threading.Thread(target=loop.run_forever) for loop in loops]
    for thread in threads:
        thread.start()
    try:
        yield loops
    finally:
        for loop, thread in zip(loops, threads, strict=True):
            run_in(loop, loop.shutdown_asyncgens())
            loop.call_soon_threadsafe(loop.stop)
            thread.join(PATIENCE_S)
            loop.close()


def run_in(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run_coroutine_threadsafe(work, loop).result(PATIENCE_S)


async def turn() -> None:
    """Let the loop do what it was handed before."""


def test_each_loop_has_its_own_for_as_long_as_it_lives():
    things = PerLoop(Thing, Thing.close)
    with running_loops(2) as loops:
        first = [run_in(loop, get(things)) for loop in loops]
        assert [thing.loop for thing in first] == loops
        assert [run_in(loop, get(things)) for loop in loops] == first
    assert [thing.closed_in for thing in first] == [[loop] for loop in loops]


def test_all_are_closed_together_each_in_its_loop():
    things = PerLoop(Thing, Thing.close)

    async def close() -> None:
        things.close()

    with running_loops(3) as loops:
        made = [run_in(loop, get(things)) for loop in loops]
        run_in(loops[0], close())
        for loop in loops:
            run_in(loop, turn())
        assert [thing.closed_in for thing in made] == [[loop] for loop in loops]
        assert run_in(loops[1], get(things)) is not made[1]


def test_where_a_loop_does_not_end_its_generators_the_next_one_to_ask_closes():
    things = PerLoop(Thing, Thing.close)
    loop = asyncio.new_event_loop()
    thing = loop.run_until_complete(get(things))
    loop.close()
    assert not thing.closed_in
    asyncio.run(get(things))
    assert thing.closed_in == [None]


def test_what_is_dropped_is_not_closed():
    things = PerLoop(Thing, Thing.close)

    async def main() -> Thing:
        assert things.known() is None
        first = things.get()
        assert things.known() is first
        things.drop()
        assert things.known() is None
        assert things.get() is not first
        return first

    assert not asyncio.run(main()).closed_in


def test_what_is_a_forked_parents_is_left_alone():
    things = PerLoop(Thing, Thing.close)

    async def main() -> None:
        mine = things.get()

        def check() -> None:
            other = asyncio.new_event_loop().run_until_complete(get(things))
            assert other is not mine
            assert not mine.closed_in

        assert in_child(check)
        assert things.get() is mine

    asyncio.run(main())


class Served:
    """A server with the model "m" that tells how many connections it has had, and waits for the end of each."""

    def __init__(self) -> None:
        self._ended: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._server = FaultServer(self._serve)

    def __enter__(self) -> Served:
        self._server.__enter__()
        self.client = AsyncClient(self._server.url)
        return self

    def __exit__(self, *exception: Any) -> None:
        self._server.__exit__(*exception)

    def _serve(self, peer: Peer) -> None:
        serve_model(peer)
        self._ended.put(None)

    async def ask(self) -> None:
        assert (await self.client.infer("m", x=np.ones(2, np.float32))).y.tolist() == [1, 2]

    def wait_for_ends(self, connections: int) -> None:
        assert self._server.connections == connections
        for _ in range(connections):
            self._ended.get(timeout=PATIENCE_S)


def test_a_client_in_loops_by_turns_keeps_the_connections_of_each():
    with Served() as served, running_loops(2) as loops:
        for loop in loops * 5:
            run_in(loop, served.ask())
        run_in(loops[0], served.client.close())
        served.wait_for_ends(2)


def test_a_loops_connections_end_with_it(no_collector):
    with Served() as served:
        for _ in range(3):
            asyncio.run(served.ask())
        served.wait_for_ends(3)


@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")  # which is asyncio's word for such a loop
def test_those_of_a_loop_that_ends_nothing_end_with_the_client(no_collector):
    with Served() as served:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(served.ask())
        loop.close()
        asyncio.run(served.client.close())
        served.wait_for_ends(1)
    gc.collect()  # now, and not in another test, it says so


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_client_is_of_use_in_one_loop_after_the_other(scheme):
    with FaultServer(serve_model) if scheme == "http" else grpc_server() as server:
        client = AsyncClient(server if isinstance(server, str) else server.url)

        async def ask() -> None:
            assert await client.is_ready()  # over gRPC, by grpcio
            assert (await client.infer("m", x=np.ones(2, np.float32))).y.shape == (2,)

        for _ in range(2):
            asyncio.run(ask())
        asyncio.run(client.close())


@pytest.mark.parametrize("call", ["is_ready", "infer", "stream"])
def test_nothing_of_a_closed_client_holds_calls_of_grpcio(call, no_collector):
    """While one of a channel's calls is there (1.85), even one that is over, the channel goes on connecting."""
    failures: list[Exception] = []

    async def main(port: int) -> None:
        async with AsyncClient(f"grpc://127.0.0.1:{port}", options=ConnectionOptions(keepalive_s=60)) as client:
            try:
                if call == "is_ready":
                    assert not await client.is_ready(timeout_s=0.2)
                elif call == "infer":
                    await client._assembly.transport.infer(Request("m", ()), Deadline(0.2))
                else:
                    await anext(client._assembly.transport.stream(Request("m", ()), Deadline(0.2)))
            except ClientError as error:
                failures.append(error)

    with FaultServer(lambda peer: peer.send(b"SSH-2.0\r\n")) as server:
        asyncio.run(main(server.port))
        assert not [thing for thing in gc.get_objects() if grpc.aio.Call in type(thing).__mro__]
    assert len(failures) == (call != "is_ready")


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Have things end by themselves alone."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
