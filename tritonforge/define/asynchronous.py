"""`async` functions as definitions: which are, and what is done with what they will give."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

__all__ = ["finish", "is_async", "then"]


def is_async(target: Any) -> bool:
    """Say whether a function, or the instances of a class, are called with `await` or `async for`."""
    function = inspect.unwrap(target) if inspect.isroutine(target) else target
    while isinstance(function, functools.partial):
        function = function.func
    if not inspect.isroutine(function):
        kind = function if isinstance(function, type) else type(function)
        function = inspect.unwrap(kind.__call__)
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def then(result: Any, step: Callable[[Any], Any]) -> Any:
    """Give what a step makes of a result; of a coroutine's, give a coroutine."""
    if not inspect.isawaitable(result):
        return step(result)

    async def later() -> Any:
        return step(await result)

    return later()


def finish(result: Any) -> Any:
    """Run a coroutine to its end, also where a loop runs already (in a notebook); give other results as they are."""
    if not inspect.iscoroutine(result):
        return result
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(contextvars.copy_context().run, asyncio.run, result).result()
