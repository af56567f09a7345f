"""Waiting within a limit: no cancellation is lost, nor what comes too late."""

from __future__ import annotations

import asyncio

import pytest

from tritonforge.client.concurrency.waits import within


def test_what_comes_in_time_is_given_and_what_fails_is_raised():
    async def main() -> None:
        assert await within(60, asyncio.sleep(0, "there")) == "there"
        with pytest.raises(ZeroDivisionError):
            await within(60, fail())

    async def fail() -> None:
        raise ZeroDivisionError

    asyncio.run(main())


def test_past_the_limit_it_is_cancelled():
    async def main() -> None:
        with pytest.raises(TimeoutError):
            await within(0.01, asyncio.Event().wait())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_a_cancellation_that_comes_with_the_result_is_not_lost_and_the_result_is_undone():
    undone = []

    async def main() -> None:
        opened = asyncio.get_running_loop().create_future()

        async def wait() -> str:
            return await opened

        task = asyncio.ensure_future(within(60, wait(), undone.append))
        while not task.cancelled():
            await asyncio.sleep(0)
            if not opened.done():
                opened.set_result("late")
                await asyncio.sleep(0)  # its task is over now, who waits for that not yet awake
            task.cancel()
        await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(main(), 60))
    assert undone == ["late"]
