"""`client.map(…)` of both clients: who runs the requests."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any, Generic, TypeVar

from tritonforge.client.batches import Piece, Reassembly, merge_arrays
from tritonforge.client.blocking import finish
from tritonforge.client.call import Definition
from tritonforge.client.calls import Calls
from tritonforge.client.errors import ClientError, Target
from tritonforge.client.mapping import Counts, Mapped, Work, make_work, name_item, run_in_threads
from tritonforge.client.result import Result

__all__ = ["AsyncMapped", "map_in_tasks", "map_in_threads"]

R = TypeVar("R")


async def _work(
    calls: Calls, model: str | Definition[Any], inputs: Any, version: str | int, **settings: Any
) -> tuple[Work[Any], Target]:
    target = calls.target(model if isinstance(model, str) else model.name, version)
    served = await calls.served(target, calls.deadline(settings.pop("timeout_s")))
    return make_work(model, inputs, served, target, **settings), target


def map_in_threads(
    calls: Calls, model: str | Definition[Any], inputs: Any, *, version: str | int, **settings: Any
) -> Mapped[Any]:
    """Map in threads of its own."""
    timeout_s = settings["timeout_s"]
    work, target = finish(_work(calls, model, inputs, version, **settings))

    def infer(arrays: Mapping[str, Any]) -> Result:
        return finish(calls.infer_checked(target, arrays, calls.deadline(timeout_s)))

    return Mapped(run_in_threads(work, infer), work.convert)


def map_in_tasks(
    calls: Calls, model: str | Definition[Any], inputs: Any, *, version: str | int, **settings: Any
) -> AsyncMapped[Any]:
    """Map in tasks of the running loop."""
    timeout_s = settings["timeout_s"]

    async def run() -> AsyncGenerator[tuple[int, Result, Callable[[Result], Any]], None]:
        work, target = await _work(calls, model, inputs, version, **settings)

        places = asyncio.Semaphore(work.concurrency)

        async def infer(piece: Piece) -> Result:
            try:
                async with places:
                    return await calls.infer_checked(target, piece.inputs, calls.deadline(timeout_s))
            except ClientError as error:
                raise name_item(error, piece) from None

        counts, assembly = Counts(work), Reassembly(ordered=work.ordered)
        async for piece, result in _run(work, infer):
            counts.add(piece)
            for number, whole in assembly.add(piece, result):
                yield number, whole, work.convert

    return AsyncMapped(run())


class AsyncMapped(Generic[R]):
    """Results as they come. Read on, and more requests are sent; close it, and those under way are cancelled."""

    def __init__(self, results: AsyncGenerator[tuple[int, Result, Callable[[Result], R]], None]) -> None:
        self._results = results

    def __aiter__(self) -> AsyncIterator[R]:
        return self

    async def __anext__(self) -> R:
        _, result, convert = await self._results.__anext__()
        return convert(result)

    async def indexed(self) -> AsyncGenerator[tuple[int, R], None]:
        """Give each result with the number of its item, from 0."""
        async for number, result, convert in self._results:
            yield number, convert(result)

    async def merge(self) -> R:
        """Join all results that are left along the batch. Raise ValueError where there are none."""
        results = [item async for item in self._results]
        if not results:
            raise ValueError("there are no results to merge")
        results.sort(key=lambda item: item[0])
        return results[0][2](merge_arrays([result for _, result, _ in results]))

    async def aclose(self) -> None:
        """Cancel the requests under way, and send no more."""
        await self._results.aclose()


async def _run(work: Work[Any], infer: Callable[[Piece], Any]) -> AsyncGenerator[tuple[Piece, Result], None]:
    under_way: deque[tuple[Piece, asyncio.Task[Result]]] = deque()
    try:
        while True:
            # Twice as many wait as run, so that there is work while the first one is waited for.
            while len(under_way) < 2 * work.concurrency and (piece := next(work.pieces, None)) is not None:
                under_way.append((piece, asyncio.ensure_future(infer(piece))))
            if not under_way:
                return
            if not work.ordered:
                await asyncio.wait([task for _, task in under_way], return_when=asyncio.FIRST_COMPLETED)
                under_way = deque(sorted(under_way, key=lambda pair: not pair[1].done()))
            piece, task = under_way.popleft()
            yield piece, await task
    finally:
        for _, task in under_way:
            task.cancel()
        await asyncio.gather(*(task for _, task in under_way), return_exceptions=True)
