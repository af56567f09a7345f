"""Coroutines inside Triton: an instance has one event loop, in a thread of its own, and its `async` code runs there."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import wait
from contextlib import suppress
from typing import Any

from .errors import CAUGHT

__all__ = ["Loop"]

_CLOSING_S = 5.0
_MARGIN_S = 0.5


class Loop:
    """An event loop that runs up to `most` coroutines at once."""

    def __init__(self, most: int) -> None:
        self._free = threading.BoundedSemaphore(most)
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self.closing = False
        self._over = False
        self._thread = threading.Thread(target=self._run, name="coroutines", daemon=True)
        self._thread.start()

    def start(self, work: Callable[[], Coroutine[Any, Any, None]], failed: Callable[[BaseException], None]) -> None:
        """Run a coroutine; wait only where as many are running as may. What it raises goes to `failed`.

        So does the cancellation of one that has not begun, which no `try` in it sees.
        """
        self._free.acquire()
        try:
            self._loop.call_soon_threadsafe(self._begin, work, failed)
        except CAUGHT:
            self._free.release()
            raise

    def close(self, last: Callable[[], Any] | None = None) -> None:
        """Cancel all coroutines and end the loop; wait for it, but not for ever.

        Before the end `last` is called; a coroutine that it gives runs in the loop, and is waited for to its end.
        """
        self.closing = True
        runs = self._thread.is_alive() and self._within(self._cancel())
        try:
            left = last() if last is not None else None
            if left is not None and runs:
                asyncio.run_coroutine_threadsafe(left, self._loop).result()
            elif left is not None:  # the user's code holds up the loop
                asyncio.run(left)
        finally:
            if runs:
                asyncio.run_coroutine_threadsafe(self._stop(), self._loop)
                self._thread.join(_CLOSING_S)

    def _within(self, work: Coroutine[Any, Any, None]) -> bool:
        """Run a coroutine in the loop; say whether it ended in time."""
        return bool(wait([asyncio.run_coroutine_threadsafe(work, self._loop)], _CLOSING_S + _MARGIN_S).done)

    def _run(self) -> None:
        while not self._over:  # a `stop` of the user's own ends no call, nor do those that a task of theirs raises
            with suppress(SystemExit, KeyboardInterrupt):
                self._loop.run_forever()
        self._loop.close()

    def _begin(self, work: Callable[[], Coroutine[Any, Any, None]], failed: Callable[[BaseException], None]) -> None:
        task = self._loop.create_task(_guarded(work, failed))
        self._tasks.add(task)  # the loop itself keeps no more than a weak reference
        task.add_done_callback(lambda task: self._end(task, failed))

    def _end(self, task: asyncio.Task[None], failed: Callable[[BaseException], None]) -> None:
        self._tasks.discard(task)
        self._free.release()
        if task.cancelled():  # before it began
            failed(asyncio.CancelledError())

    async def _cancel(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=_CLOSING_S)

    async def _stop(self) -> None:
        await self._loop.shutdown_asyncgens()
        self._over = True
        self._loop.stop()


async def _guarded(work: Callable[[], Coroutine[Any, Any, None]], failed: Callable[[BaseException], None]) -> None:
    try:
        await work()
    except CAUGHT as error:
        failed(error)
