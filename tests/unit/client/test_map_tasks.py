"""What `map` does with its tasks, whatever they do."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import numpy as np
import pytest

from tritonforge.client.calls.map_inputs import await_pieces, pieces_of
from tritonforge.client.calls.map_tasks import run_in_tasks
from tritonforge.client.calls.mapping import Work
from tritonforge.client.errors import InferenceFailed, InvalidRequest, Target
from tritonforge.client.result import Result

TARGET = Target("http://h:1", "m")


def result(number: int) -> Result:
    return Result({"y": np.array([number])}, model="m", model_version="1", id="", parameters={})


def items(count: int, taken: list[int] | None = None):
    for number in range(count):
        if taken is not None:
            taken.append(number)
        yield {"x": np.array([number])}


async def waited_for(given):
    for item in given:
        await asyncio.sleep(0)
        yield item


@pytest.fixture(params=[False, True], ids=["iterable", "asynchronous"])
def work(request):
    """Make a map's work of items, that are there or waited for."""

    def made(given, *, concurrency: int = 2, ordered: bool = True) -> Work:
        pieces = pieces_of(() if request.param else given, lambda item: item, 0, TARGET)
        awaited = await_pieces(waited_for(given), lambda item: item, 0) if request.param else None
        return Work(pieces, lambda made: made, concurrency, ordered, None, True, TARGET, awaited)

    return made


def number_of(piece) -> int:
    return int(piece.inputs["x"][0])


def test_no_more_run_than_the_concurrency_and_no_more_than_twice_that_are_taken(work):
    async def main() -> None:
        taken: list[int] = []
        running, most, first = 0, 0, asyncio.Event()

        async def infer(piece):
            nonlocal running, most
            running += 1
            most = max(most, running)
            await (first.wait() if number_of(piece) == 0 else asyncio.sleep(0))
            running -= 1
            return result(number_of(piece))

        asyncio.get_running_loop().call_later(0.2, first.set)
        async with aclosing(run_in_tasks(work(items(20, taken)), infer)) as results:
            piece, _ = await anext(results)
            assert piece.item == 0
            assert len(taken) == 4
            assert [piece.item async for piece, _ in results] == list(range(1, 20))
        assert most == 2

    asyncio.run(main())


def test_results_come_as_they_are_done_where_no_order_is_asked_for(work):
    async def main() -> list[int]:
        last = asyncio.Event()

        async def infer(piece):
            number = number_of(piece)
            if number == 0:
                await last.wait()
            elif number == 5:
                last.set()
            return result(number)

        return [piece.item async for piece, _ in run_in_tasks(work(items(6), ordered=False), infer)]

    order = asyncio.run(main())
    assert sorted(order) == list(range(6))
    assert order[0] != 0


def test_an_error_of_the_iterable_is_raised_after_the_results_of_what_it_gave(work):
    def broken_off():
        yield from items(5)
        raise KeyError("row")

    async def main() -> None:
        async def infer(piece):
            return result(number_of(piece))

        results = run_in_tasks(work(broken_off()), infer)
        assert [(await anext(results))[0].item for _ in range(5)] == [0, 1, 2, 3, 4]
        with pytest.raises(KeyError, match="row"):
            await anext(results)

    asyncio.run(main())


@pytest.mark.parametrize("error", [InvalidRequest("no", Target("http://h:1", "m")), asyncio.CancelledError("no")])
def test_the_first_error_in_order_is_raised_after_what_was_before_it_and_no_task_is_left(error, work):
    async def main() -> None:
        async def infer(piece):
            if number_of(piece) >= 2:
                raise error
            return result(number_of(piece))

        results = run_in_tasks(work(items(9)), infer)
        assert [(await anext(results))[0].item for _ in range(2)] == [0, 1]
        with pytest.raises(type(error), match="no"):
            await anext(results)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_a_map_that_is_closed_cancels_what_is_under_way(work):
    async def main() -> None:
        cancelled = []

        async def infer(piece):
            if number_of(piece) == 0:
                return result(0)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(number_of(piece))
                raise

        results = run_in_tasks(work(items(9), concurrency=3), infer)
        await anext(results)
        for _ in range(20):
            await asyncio.sleep(0)
        await results.aclose()
        assert sorted(cancelled) == [1, 2, 3]
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_tasks_that_are_cancelled_end_though_nobody_closes_the_map(work):
    kept = []

    async def main() -> None:
        async def infer(piece):
            await (asyncio.sleep(0) if number_of(piece) == 0 else asyncio.Event().wait())
            return result(number_of(piece))

        results = run_in_tasks(work(items(9), concurrency=3), infer)
        kept.append(results)  # so that only the loop's end cancels its tasks
        assert (await anext(results))[0].item == 0

    asyncio.run(asyncio.wait_for(main(), 60))


def test_who_reads_a_map_whose_tasks_were_cancelled_is_told(work):
    async def main() -> None:
        async def infer(piece):
            return result(number_of(piece))

        async with aclosing(run_in_tasks(work(items(9)), infer)) as results:
            assert (await anext(results))[0].item == 0
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            with pytest.raises(asyncio.CancelledError):
                _ = [piece async for piece in results]

    asyncio.run(main())


def test_an_answer_with_other_rows_than_were_sent_is_an_error(work):
    async def main() -> None:
        async def infer(piece):
            return Result({"y": np.arange(3)}, model="m", model_version="1", id="", parameters={})

        async with aclosing(run_in_tasks(work(items(2)), infer)) as results:
            with pytest.raises(InferenceFailed, match=r'item 0: output "y" is \[3\], of an input of 1 rows'):
                await anext(results)

    asyncio.run(main())


def test_results_are_given_while_the_next_item_is_waited_for():
    async def main() -> None:
        asked, given = asyncio.Event(), asyncio.Event()

        async def slow():
            yield {"x": np.array([0])}
            asked.set()
            await given.wait()
            yield {"x": np.array([1])}

        async def infer(piece):
            return result(number_of(piece))

        awaited = await_pieces(slow(), lambda item: item, 0)
        made = Work(iter(()), lambda made: made, 2, True, None, True, TARGET, awaited)
        async with aclosing(run_in_tasks(made, infer)) as results:
            assert (await anext(results))[0].item == 0
            await asked.wait()
            given.set()
            assert [piece.item async for piece, _ in results] == [1]

    asyncio.run(asyncio.wait_for(main(), 60))


@pytest.mark.parametrize("waits_for_room", [False, True])
def test_an_iterable_that_is_waited_for_ends_with_the_map(waits_for_room):
    async def main() -> None:
        ended = []

        async def waits():
            try:
                for number in range(9 if waits_for_room else 1):
                    yield {"x": np.array([number])}
                await asyncio.Event().wait()
            finally:
                ended.append(True)

        async def infer(piece):
            return result(number_of(piece))

        awaited = await_pieces(waits(), lambda item: item, 0)
        made = Work(iter(()), lambda made: made, 2, True, None, True, TARGET, awaited)
        async with aclosing(run_in_tasks(made, infer)) as results:
            await anext(results)
            await asyncio.sleep(0)
        assert ended == [True]
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
