"""Many inferences in tasks of one event loop, so many at a time: what `mapping` does in threads."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Any, Protocol

from tritonforge.client.calls.batches import Piece
from tritonforge.client.calls.map_inputs import Pieces, name_item
from tritonforge.client.calls.mapping import Work, require_rows
from tritonforge.client.errors import ClientError
from tritonforge.client.result import Result

__all__ = ["run_in_tasks"]

Infer = Callable[[Piece], Awaitable[Result]]


async def run_in_tasks(work: Work[Any], infer: Infer) -> AsyncGenerator[tuple[Piece, Result], None]:
    """Give each piece with its result, in their order or as they come. Raise the first error that is met so.

    Closing it, or an error, cancels what is under way.
    """
    crew = _Crew(work.concurrency, infer)
    # Twice as many are handed over as run, so that tasks have work while the first one is waited for.
    ahead, given = 2 * work.concurrency, 0
    source = _Drawn(work.pieces, crew, ahead) if work.awaited is None else _Awaited(work.awaited, crew, ahead)
    try:
        while True:
            source.hand_over(given)
            found = await crew.outcome(given if work.ordered else None, source)
            if found is None:
                source.end()
                return
            piece, outcome = found
            given += 1
            if isinstance(outcome, ClientError):
                raise name_item(outcome, piece) from None
            if isinstance(outcome, BaseException):
                raise outcome
            require_rows(work, piece, outcome)
            yield piece, outcome
    finally:
        try:
            await crew.dismiss()
        finally:
            await source.close()


class _Source(Protocol):
    """Hands pieces to a crew, up to so many ahead of the results that have been given."""

    def hand_over(self, given: int) -> None:
        """Hand over what there is room for."""

    def over(self) -> bool:
        """Tell whether each piece has had its result, and none follows."""

    def end(self) -> None:
        """Raise what ended the pieces, if something did."""

    async def close(self) -> None:
        """Hand over no more."""


class _Drawn:
    """Pieces that are there when they are wanted."""

    def __init__(self, pieces: Iterator[Piece], crew: _Crew, ahead: int) -> None:
        self._pieces, self._crew, self._ahead = Pieces(pieces), crew, ahead
        self._handed = self._given = 0

    def hand_over(self, given: int) -> None:
        self._given = given
        while self._handed - given < self._ahead and (piece := self._pieces.take()) is not None:
            self._crew.hand(self._handed, piece)
            self._handed += 1

    def over(self) -> bool:
        return self._given == self._handed

    def end(self) -> None:
        self._pieces.end()

    async def close(self) -> None:
        pass


class _Awaited:
    """Pieces that a task waits for, while results are given."""

    def __init__(self, pieces: AsyncGenerator[Piece, None], crew: _Crew, ahead: int) -> None:
        self._pieces, self._crew, self._ahead = pieces, crew, ahead
        self._handed = self._given = 0
        self._room = asyncio.Event()
        self._ended = False
        self._error: Exception | None = None
        self._task = asyncio.ensure_future(self._read())

    def hand_over(self, given: int) -> None:
        self._given = given
        self._room.set()

    def over(self) -> bool:
        return self._ended and self._given == self._handed

    def end(self) -> None:
        if self._error is not None:
            raise self._error

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _read(self) -> None:
        try:
            async with aclosing(self._pieces) as pieces:
                async for piece in pieces:
                    self._crew.hand(self._handed, piece)
                    self._handed += 1
                    while self._handed - self._given >= self._ahead:
                        self._room.clear()
                        await self._room.wait()
        except Exception as error:
            self._error = error
        except BaseException as error:
            self._crew.break_off(error)
            raise
        self._ended = True
        self._crew.tell()


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

    async def outcome(self, number: int | None, source: _Source) -> tuple[Piece, Result | BaseException] | None:
        """Wait for what has become of one piece, or of any; give None once the source has no more."""
        while not (self._done if number is None else number in self._done):
            if source.over():
                return None
            if self._broken is not None:
                raise self._broken
            self._arrived.clear()
            await self._arrived.wait()
        return self._done.pop(next(iter(self._done)) if number is None else number)

    def tell(self) -> None:
        """Wake who waits for an outcome."""
        self._arrived.set()

    def break_off(self, error: BaseException) -> None:
        """Raise an error where an outcome is waited for, which would come no more."""
        self._broken = error
        self.tell()

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
                self.tell()
        except BaseException as error:  # cancelled, as by the loop's end: who reads would wait in vain
            self.break_off(error)
            raise
