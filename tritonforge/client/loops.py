"""Things that belong to one event loop of one process, made anew in another."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["PerLoop"]

T = TypeVar("T")


class PerLoop(Generic[T]):
    """One thing, made where there is none yet for the running loop. What another loop had is dropped, not closed:

    that loop is most often closed itself, or its connections are a forked parent's.
    """

    __slots__ = ("_loop", "_make", "_owner", "_thing")

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._loop: asyncio.AbstractEventLoop | None = None
        self._owner = 0
        self._thing: T | None = None

    def get(self) -> T:
        """Give the running loop's own. Raise RuntimeError where none runs."""
        loop = asyncio.get_running_loop()
        if self._thing is None or self._loop is not loop or self._owner != os.getpid():
            self._thing = self._make()
            self._loop, self._owner = loop, os.getpid()
        return self._thing

    def drop(self) -> None:
        """Have it made anew when it is next asked for."""
        self._thing = None

    def known(self) -> T | None:
        """Give what there is, if it is of the running loop."""
        mine = self._loop is asyncio.get_running_loop() and self._owner == os.getpid()
        return self._thing if mine else None
