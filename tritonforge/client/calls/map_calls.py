"""`client.map(…)` of both clients: who runs the requests."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any, Generic, TypeGuard, TypeVar

from tritonforge.client.call import Definition, require_definition
from tritonforge.client.calls.batches import Piece, Reassembly, merge_arrays, slices_of
from tritonforge.client.calls.map_tasks import run_in_tasks
from tritonforge.client.calls.mapping import Counts, Mapped, Work, make_work, require_unread, run_in_threads
from tritonforge.client.calls.methods import Calls
from tritonforge.client.concurrency.blocking import finish
from tritonforge.client.errors import InvalidRequest, Target
from tritonforge.client.result import Result
from tritonforge.client.tensors.kinds import Known

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

    def infer(piece: Piece) -> Result:
        return finish(_infer(calls, target, piece, timeout_s))

    return Mapped(run_in_threads(work, infer), work.convert)


def map_in_tasks(
    calls: Calls, model: str | Definition[Any], inputs: Any, *, version: str | int, **settings: Any
) -> AsyncMapped[Any]:
    """Map in tasks of the running loop."""
    timeout_s = settings["timeout_s"]

    async def run() -> AsyncGenerator[tuple[int, Result, Callable[[Result], Any]], None]:
        work, target = await _work(calls, model, inputs, version, may_await=True, **settings)

        def infer(piece: Piece) -> Awaitable[Result]:
            return _infer(calls, target, piece, timeout_s)

        counts, assembly = Counts(work), Reassembly(ordered=work.ordered)
        async with aclosing(run_in_tasks(work, infer)) as results:
            async for piece, result in results:
                counts.add(piece)
                for number, whole in assembly.add(piece, result):
                    yield number, whole, work.convert

    return AsyncMapped(run())


async def _infer(calls: Calls, target: Target, piece: Piece, timeout_s: float | None) -> Result:
    """Infer a piece; part by part, where it has more rows than the model takes by now, as after a reload."""
    known = calls.catalog.known(target)
    if not _is_exceeded(known, piece):
        deadline = calls.deadline(timeout_s)
        try:
            return await calls.infer_checked(target, piece.inputs, deadline)
        except InvalidRequest:
            known = await calls.known(target, deadline)
            if not _is_exceeded(known, piece):
                raise
    parts = [*slices_of(piece.inputs, known.served.max_batch_size)]
    results = [await calls.infer_checked(target, part, calls.deadline(timeout_s)) for part in parts]
    return merge_arrays(results, lambda part: f"part {part + 1} of {len(parts)}")


def _is_exceeded(known: Known | None, piece: Piece) -> TypeGuard[Known]:
    return known is not None and 0 < known.served.max_batch_size < piece.rows


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
