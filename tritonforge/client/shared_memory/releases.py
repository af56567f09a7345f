"""Regions of shared memory that a server is to let go of, which it refuses while a request uses them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import ClientError, DeadlineExceeded, ServerUnavailable
from tritonforge.client.failures import lacks_endpoint
from tritonforge.client.questions import Question
from tritonforge.client.shared_memory.regions import Ask, is_gone

__all__ = ["Releases"]

_COUNTS_USES = (2, 50)
"""The server's version from which on it knows which regions are in use: one before would crash at the next access.

https://github.com/triton-inference-server/server/pull/7567
"""

_A_TURN = 2
_POLL_S = 0.02


class Releases:
    """The regions that one server is to let go of for a client; a name is among them until the server has done so.

    Most are those that requests which were given up may use still.
    """

    def __init__(self, ask: Ask, letting_go: Callable[[str], Question]) -> None:
        """`letting_go` asks for it, of the region by that name."""
        self._ask, self._letting_go = ask, letting_go
        self._owner = os.getpid()
        self._names: deque[str] = deque()
        self._safe: bool | None = None

    def __bool__(self) -> bool:
        return bool(self._names) and self._owner == os.getpid()  # a forked child leaves its parent's alone

    def add(self, name: str) -> None:
        """Take note of a region that the server may have."""
        if self._owner != os.getpid():
            self._owner = os.getpid()
            self._names.clear()
        if name not in self._names:
            self._names.append(name)

    async def let_go(self, name: str, deadline: Deadline) -> None:
        """Have the server let go of a region of which no request is known; what it doesn't answer to is for later."""
        self.add(name)  # before it is asked: whoever asks may be late, or cancelled
        try:
            await self._ask(self._letting_go(name), deadline)
        except (ServerUnavailable, DeadlineExceeded) as error:
            if not (is_gone(error) or lacks_endpoint(error)):
                return
        except ClientError as error:
            if "in use" in error.reason:
                return
        except RuntimeError:  # the client is closed: nobody asks any more
            pass
        with suppress(ValueError):  # another thread was quicker
            self._names.remove(name)

    async def go_on(self, deadline: Deadline) -> None:
        """Try some of them again, those that have waited longest: with each new one, so that they don't add up."""
        if not await self._is_safe(deadline):
            return
        for _ in range(min(_A_TURN, len(self._names))):
            await self._next(deadline)

    async def finish(self, deadline: Deadline, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Try all of them, again and again until the deadline."""
        try:
            while self:
                if await self._is_safe(deadline):
                    for _ in range(len(self._names)):
                        await self._next(deadline)
                elif self._safe is not None:
                    return
                if self:
                    await sleep(min(_POLL_S, deadline.left_s()))
        except TimeoutError:
            return

    async def _next(self, deadline: Deadline) -> None:
        """Try the one that has waited longest, which waits longest again if it is in vain."""
        try:
            name = self._names[0]
        except IndexError:  # another thread was quicker
            return
        self._names.rotate(-1)
        await self.let_go(name, deadline)

    async def _is_safe(self, deadline: Deadline) -> bool:
        if self._safe is None:
            try:
                metadata = await self._ask(Question("server_metadata"), deadline)
                self._safe = _version(metadata["version"]) >= _COUNTS_USES
            except (ServerUnavailable, DeadlineExceeded) as error:
                if is_gone(error):
                    self._names.clear()
                return False
            except (ClientError, RuntimeError):
                return False
            except (LookupError, TypeError, ValueError, AttributeError):  # it is not Triton, or says no version
                self._safe = False
        return self._safe


def _version(text: str) -> tuple[int, ...]:
    major, minor, *_ = text.split(".")
    return int(major), int(minor)
