"""Waiting within a limit, in an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

__all__ = ["within"]

T = TypeVar("T")


async def within(seconds: float, work: Coroutine[Any, Any, T], undo: Callable[[T], object] = lambda _: None) -> T:
    """Wait for a coroutine, and raise TimeoutError past so many seconds. `undo` gets a result that comes too late.

    Before Python 3.12, asyncio.wait_for loses a cancellation that comes just as the result does: its task goes on.
    https://github.com/python/cpython/issues/86296
    """
    task = asyncio.ensure_future(work)
    done: set[asyncio.Task[T]] = set()
    try:
        done, _ = await asyncio.wait((task,), timeout=seconds)
    finally:
        if not done:
            task.add_done_callback(partial(_drop, undo))
            task.cancel()
    if not done:
        raise TimeoutError
    return task.result()


def _drop(undo: Callable[[T], object], task: asyncio.Task[T]) -> None:
    if not task.cancelled() and task.exception() is None:
        undo(task.result())
