"""Whether something is awaited, told without asyncio: most models have no use for it, and it takes time to import."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

__all__ = ["is_async", "then"]


def is_async(target: Any) -> bool:
    """Say whether a function, a class's instances, or an object are called with `await` or `async for`."""
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
