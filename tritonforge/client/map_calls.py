"""`client.map(…)` of both clients: who runs the requests."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from typing import Any, Generic, TypeVar

from tritonforge.client.batches import Piece, Reassembly, merge_arrays
from tritonforge.client.blocking import finish
from tritonforge.client.call import Definition, require_definition
from tritonforge.client.calls import Calls
from tritonforge.client.errors import Target
from tritonforge.client.map_tasks import run_in_tasks
from tritonforge.client.mapping import Counts, Mapped, Work, make_work, require_unread, run_in_threads
from tritonforge.client.result import Result

__all__ = ["AsyncMapped", "map_in_tasks", "map_in_threads"]

R = TypeVar("R")


async def _work(
    calls: Calls, model: str | Definition[Any], inputs: Any, version: str | int, **settings: Any
) -> tuple[Work[Any], Target]:
    if not isinstance(model, str):
        require_definition(model, "map", "map")
    target = calls.target(model if isinstance(model, str) else model.name, version)
    served = (await calls.known(target, calls.deadline(settings.pop("timeout_s")))).served
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

        def infer(piece: Piece) -> Awaitable[Result]:
            return calls.infer_checked(target, piece.inputs, calls.deadline(timeout_s))

        counts, assembly = Counts(work), Reassembly(ordered=work.ordered)
        async with aclosing(run_in_tasks(work, infer)) as results:
            async for piece, result in results:
                counts.add(piece)
                for number, whole in assembly.add(piece, result):
                    yield number, whole, work.convert

    return AsyncMapped(run())


class AsyncMapped(Generic[R]):
    """Results as they come, once. Read on, and more requests are sent; close it, and those under way are cancelled."""

    def __init__(self, results: AsyncGenerator[tuple[int, Result, Callable[[Result], R]], None]) -> None:
        self._results = results
        self._read = 0

    def __aiter__(self) -> AsyncIterator[R]:
        return self

    async def __anext__(self) -> R:
        return (await self._next())[1]

    async def indexed(self) -> AsyncGenerator[tuple[int, R], None]:
        """Give each result with the number of its item, from 0."""
        with suppress(StopAsyncIteration):
            while True:
                yield await self._next()

    async def merge(self) -> R:
        """Join all results along the batch. Raise RuntimeError where some were read before.

        Raise ValueError where there are none, and where outputs differ in more than their rows.
        """
        require_unread(self._read)
        results = [item async for item in self._results]
        self._read = len(results)
        if not results:
            raise ValueError("there are no results to merge")
        results.sort(key=lambda item: item[0])
        return results[0][2](merge_arrays([result for _, result, _ in results]))

    async def aclose(self) -> None:
        """Cancel the requests under way, and send no more."""
        await self._results.aclose()

    async def abandon(self, error: Exception) -> None:
        """Close it, unless somebody waits for its next result; who reads on is told of the error."""
        try:
            await self._results.aclose()
        except RuntimeError:  # it is being read: the next request fails
            return
        self._results = _failing(error)

    async def _next(self) -> tuple[int, R]:
        number, result, convert = await self._results.__anext__()
        self._read += 1
        return number, convert(result)


async def _failing(error: Exception) -> AsyncGenerator[Any, None]:
    raise error
    yield  # type: ignore[unreachable]  # this makes it a generator
