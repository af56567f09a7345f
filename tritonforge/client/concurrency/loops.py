"""Things that belong to one event loop of one process, closed with it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from typing import Any, Generic, TypeVar

__all__ = ["PerLoop"]

T = TypeVar("T")


class PerLoop(Generic[T]):
    """One thing for each loop that asks for it, closed just before its loop is.

    Where a loop is closed without ending its asynchronous generators, that is when the next one asks. What is a forked
    parent's is let go of.
    """

    __slots__ = ("_all", "_close", "_last", "_make")

    def __init__(self, make: Callable[[], T], close: Callable[[T], object]) -> None:
        """`close` is called in the thing's loop, or in any once that one is closed."""
        self._make = make
        self._close = close
        self._all: dict[asyncio.AbstractEventLoop, tuple[_Place[T], AsyncGenerator[None, None]]] = {}
        self._last: _Place[T] | None = None

    def get(self) -> T:
        """Give the running loop's own. Raise RuntimeError where none runs."""
        loop = asyncio.get_running_loop()
        place = self._last  # read once: other threads have loops of their own
        if place is None or place.loop is not loop or place.owner != os.getpid():
            self._last = place = self._find(loop)
        thing = place.thing
        if thing is None:
            thing = place.thing = self._make()
        return thing

    def known(self) -> T | None:
        """Give what the running loop has, if it has any."""
        place = self._known()
        return None if place is None else place.thing

    def drop(self) -> None:
        """Have the running loop's made anew when it is next asked for; the old one is left to whoever uses it."""
        place = self._known()
        if place is not None:
            place.thing = None

    def close(self) -> None:
        """Close what each loop has; in other loops that live, at their next turn."""
        here, self._last = asyncio.get_running_loop(), None
        for loop in list(self._all):
            if loop is here or loop.is_closed():
                self._end(loop)
            else:
                with suppress(RuntimeError):  # it is closed by now
                    loop.call_soon_threadsafe(self._end, loop)

    def _known(self) -> _Place[T] | None:
        place, _ = self._all.get(asyncio.get_running_loop(), (None, None))
        return None if place is None or place.owner != os.getpid() else place

    def _find(self, loop: asyncio.AbstractEventLoop) -> _Place[T]:
        for other, (place, _) in list(self._all.items()):
            if other.is_closed() or place.owner != os.getpid():
                self._end(other)
        if loop not in self._all:
            place = _Place(loop)
            keeper = _keep(place, self._close)
            _step(keeper.asend(None))
            self._all[loop] = (place, keeper)
        return self._all[loop][0]

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        _, keeper = self._all.pop(loop, (None, None))
        if keeper is not None:
            _step(keeper.aclose())


class _Place(Generic[T]):
    """Where a loop's thing is."""

    __slots__ = ("loop", "owner", "thing")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.owner = os.getpid()
        self.thing: T | None = None


async def _keep(place: _Place[T], close: Callable[[T], object]) -> AsyncGenerator[None, None]:
    """Close a loop's thing at the end.

    A loop ends its asynchronous generators before it is closed (`shutdown_asyncgens`, which asyncio.run calls): this is
    one, since sockets can't be closed in order any more once the loop is.
    """
    try:
        yield
    finally:
        thing, place.thing = place.thing, None
        if thing is not None and place.owner == os.getpid():
            try:
                close(thing)
            except RuntimeError:  # what a closed loop can't do is left to the collector
                if not place.loop.is_closed():
                    raise


def _step(step: Coroutine[Any, Any, None]) -> None:
    """Have the generator go on, which suspends nobody."""
    with suppress(StopIteration):
        step.send(None)
