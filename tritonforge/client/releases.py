"""Regions of shared memory that a server is to let go of, which it refuses while a request uses them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Awaitable, Callable

from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import ClientError, InferenceFailed, InvalidRequest
from tritonforge.client.questions import Question
from tritonforge.client.regions import Ask

__all__ = ["Releases"]

_COUNTS_USES = (2, 50)
"""The server's version from which on it knows which regions are in use: one before would crash at the next access.

https://github.com/triton-inference-server/server/pull/7567
"""

_A_TURN = 2
_POLL_S = 0.02


class Releases:
    """The regions of one client at one server that requests which were given up may use still."""

    def __init__(self, ask: Ask, letting_go: Callable[[str], Question]) -> None:
        """`letting_go` asks for it, of the region by that name."""
        self._ask, self._letting_go = ask, letting_go
        self._owner = os.getpid()
        self._names: deque[str] = deque()
        self._safe: bool | None = None

    def __bool__(self) -> bool:
        return bool(self._names) and self._owner == os.getpid()  # a forked child leaves its parent's alone

    def add(self, name: str) -> None:
        """Take note of a region that a request has been given up with."""
        if self._owner != os.getpid():
            self._owner = os.getpid()
            self._names.clear()
        self._names.append(name)

    async def let_go(self, name: str, deadline: Deadline) -> None:
        """Have the server let go of a region of which no request is known; where there is one, it is for later."""
        try:
            await self._ask(self._letting_go(name), deadline)
        except (InvalidRequest, InferenceFailed) as error:
            if "in use" in error.reason:
                self.add(name)
        except (ClientError, RuntimeError):  # it is closed
            pass

    async def go_on(self, deadline: Deadline) -> None:
        """Try some of them again, those that have waited longest: with each new one, so that they don't add up."""
        if not await self._is_safe(deadline):
            return
        for _ in range(min(_A_TURN, len(self._names))):
            await self._next(deadline)

    async def finish(self, deadline: Deadline, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Try all of them, again and again until the deadline."""
        if not (self and await self._is_safe(deadline)):
            return
        try:
            while True:
                for _ in range(len(self._names)):
                    await self._next(deadline)
                if not self._names:
                    return
                await sleep(min(_POLL_S, deadline.left_s()))
        except TimeoutError:
            return

    async def _next(self, deadline: Deadline) -> None:
        try:
            name = self._names.popleft()
        except IndexError:  # another thread was quicker
            return
        await self.let_go(name, deadline)

    async def _is_safe(self, deadline: Deadline) -> bool:
        if self._safe is None:
            try:
                metadata = await self._ask(Question("server_metadata"), deadline)
                self._safe = _version(metadata["version"]) >= _COUNTS_USES
            except (ClientError, RuntimeError):
                return False
            except (LookupError, TypeError, ValueError, AttributeError):  # it is not Triton, or says no version
                self._safe = False
        return self._safe


def _version(text: str) -> tuple[int, ...]:
    major, minor, *_ = text.split(".")
    return int(major), int(minor)
