"""One at a time, in the order of asking: for the requests of a sequence, each of which builds on the one before."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from tritonforge.client.concurrency.waits import within
from tritonforge.client.deadline import Deadline

__all__ = ["Turns", "turns_of_tasks", "turns_of_threads"]


class _Bell(Protocol):
    def set(self) -> object: ...


class Turns:
    """A line of those who wait, of whom the first has the turn. A lock of the standard library's has no such order."""

    def __init__(self, wait: Callable[[float, Callable[[_Bell], None]], Awaitable[bool]]) -> None:
        """`wait` hands over a bell and waits for it, so many seconds at most; it tells whether it was rung."""
        self._wait = wait
        self._guard = threading.Lock()
        self._line: deque[object] = deque()
        self._bells: dict[object, _Bell] = {}

    @asynccontextmanager
    async def turn(self, deadline: Deadline) -> AsyncIterator[bool]:
        """Hold the turn for the block; it is told whether it had to be waited for. Raise TimeoutError where in vain."""
        me = object()
        with self._guard:
            self._line.append(me)
            first = self._line[0] is me
        try:
            yield not first and await self._come(me, deadline)
        finally:
            self._leave(me)

    async def _come(self, me: object, deadline: Deadline) -> bool:
        def expect(bell: _Bell) -> None:
            with self._guard:
                self._bells[me] = bell
                if self._line[0] is me:
                    bell.set()

        if not await self._wait(deadline.left_s(), expect):
            raise TimeoutError
        return True

    def _leave(self, me: object) -> None:
        with self._guard:
            self._line.remove(me)
            self._bells.pop(me, None)
            if self._line and (bell := self._bells.get(self._line[0])) is not None:
                bell.set()


def turns_of_threads() -> Turns:
    """Make a line in which threads wait."""

    async def wait(seconds: float, expect: Callable[[_Bell], None]) -> bool:
        bell = threading.Event()
        expect(bell)
        return bell.wait(seconds)

    return Turns(wait)


def turns_of_tasks() -> Turns:
    """Make a line in which tasks of one event loop wait."""

    async def wait(seconds: float, expect: Callable[[_Bell], None]) -> bool:
        bell = asyncio.Event()
        expect(bell)
        try:
            return await within(seconds, bell.wait())
        except TimeoutError:
            return False

    return Turns(wait)
