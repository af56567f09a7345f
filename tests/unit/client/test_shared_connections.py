"""The connections of an event loop that calls share: who waits for one is overtaken by nobody."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from tritonforge.client.connections.shared import SharedConnections
from tritonforge.client.deadline import Deadline
from tritonforge.client.grpc.async_connection import AsyncGrpcConnection

TURNS = 10
"""Turns of the loop: more than one call takes to go on, and less than as many as there are calls."""


class Idle:
    """A connection that takes any call."""

    usable, full, busy = True, False, 0

    def fits(self, size: int) -> bool:
        return True


async def turns() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


def test_calls_that_wait_for_a_connection_go_on_together() -> None:
    """Turns of a busy loop are long: one call in each would take seconds."""

    async def main() -> None:
        connected, opened = asyncio.Event(), []

        async def connect(_: Deadline) -> AsyncGrpcConnection:
            await connected.wait()
            opened.append(Idle())
            return cast("AsyncGrpcConnection", opened[-1])

        shared = SharedConnections(connect, most=128)
        calls = [asyncio.ensure_future(shared.open(1, Deadline(20))) for _ in range(10 * TURNS)]
        await turns()
        connected.set()
        await turns()
        assert [call.done() for call in calls] == [True] * len(calls)
        assert {call.result() for call in calls} == set(opened)
        assert len(opened) == 1

    asyncio.run(main())


def test_another_goes_on_where_the_one_that_connects_fails_or_gives_up() -> None:
    async def main() -> None:
        attempts = 0

        async def connect(_: Deadline) -> AsyncGrpcConnection:
            nonlocal attempts
            attempts += 1
            if attempts == 1:
                await asyncio.sleep(20)
            if attempts == 2:
                raise ConnectionRefusedError
            return cast("AsyncGrpcConnection", Idle())

        shared = SharedConnections(connect, most=128)
        given_up, refused, served = (asyncio.ensure_future(shared.open(1, Deadline(20))) for _ in range(3))
        await turns()
        given_up.cancel()
        await turns()
        with pytest.raises(ConnectionRefusedError):
            refused.result()
        assert isinstance(served.result(), Idle)
        assert attempts == 3

    asyncio.run(main())


def test_who_waits_for_a_connection_waits_no_longer_than_it_may() -> None:
    async def main() -> None:
        shared = SharedConnections(lambda _: asyncio.sleep(20), most=128)  # type: ignore[arg-type,return-value]
        first = asyncio.ensure_future(shared.open(1, Deadline(20)))
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            await shared.open(1, Deadline(0.05))
        first.cancel()

    asyncio.run(main())
