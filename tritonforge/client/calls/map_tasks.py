"""Many inferences in tasks of one event loop, so many at a time: what `mapping` does in threads."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from tritonforge.client.calls.batches import Piece
from tritonforge.client.calls.mapping import Pieces, Work, name_item, require_rows
from tritonforge.client.errors import ClientError
from tritonforge.client.result import Result

__all__ = ["run_in_tasks"]

Infer = Callable[[Piece], Awaitable[Result]]


async def run_in_tasks(work: Work[Any], infer: Infer) -> AsyncGenerator[tuple[Piece, Result], None]:
    """Give each piece with its result, in their order or as they come. Raise the first error that is met so.

    Closing it, or an error, cancels what is under way.
    """
    crew = _Crew(work.concurrency, infer)
    pieces = Pieces(work.pieces)
    handed = given = 0
    try:
        while True:
            # Twice as many are handed over as run, so that tasks have work while the first one is waited for.
            while handed - given < 2 * work.concurrency and (piece := pieces.take()) is not None:
                crew.hand(handed, piece)
                handed += 1
            if given == handed:
                pieces.end()
                return
            piece, outcome = await crew.outcome(given if work.ordered else None)
            given += 1
            if isinstance(outcome, ClientError):
                raise name_item(outcome, piece) from None
            if isinstance(outcome, BaseException):
                raise outcome
            require_rows(work, piece, outcome)
            yield piece, outcome
    finally:
        await crew.dismiss()


class _Crew:
    """Tasks that make one request after another: to make one for each takes time, as do places that they wait for."""

    def __init__(self, size: int, infer: Infer) -> None:
        self._size = size
        self._infer = infer
        self._todo: deque[tuple[int, Piece]] = deque()
        self._done: dict[int, tuple[Piece, Result | BaseException]] = {}
        self._dismissed = False
        self._handed, self._arrived = asyncio.Event(), asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._broken: BaseException | None = None

    def hand(self, number: int, piece: Piece) -> None:
        """Have a request made by whoever is free next."""
        self._todo.append((number, piece))
        self._handed.set()
        if len(self._tasks) < self._size:
            self._tasks.append(asyncio.ensure_future(self._work()))

    async def outcome(self, number: int | None) -> tuple[Piece, Result | BaseException]:
        """Wait for what has become of one piece, or of any."""
        while not (self._done if number is None else number in self._done):
            if self._broken is not None:
                raise self._broken
            self._arrived.clear()
            await self._arrived.wait()
        return self._done.pop(next(iter(self._done)) if number is None else number)

    async def dismiss(self) -> None:
        """Cancel the requests under way, and make no more."""
        self._dismissed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self) -> None:
        try:
            while not self._dismissed:
                while not self._todo:
                    self._handed.clear()
                    await self._handed.wait()
                number, piece = self._todo.popleft()
                outcome: Result | BaseException
                try:
                    outcome = await self._infer(piece)
                except Exception as error:  # it is raised where the results are read
                    outcome = error
                self._done[number] = piece, outcome
                self._arrived.set()
        except BaseException as error:  # cancelled, as by the loop's end: who reads would wait in vain
            self._broken = error
            self._arrived.set()
            raise
