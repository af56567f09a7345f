"""The kept-alive connections of an event loop to one server."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from tritonforge.client.deadline import Deadline
from tritonforge.client.http.answer import NoneFree

__all__ = ["AsyncPool"]


class Kept(Protocol):
    """A connection that takes one request after another."""

    @property
    def is_quiet(self) -> bool:
        """Whether it takes another request: the peer has not closed it, nor sent what it should not."""

    def close(self) -> None:
        """Close the socket."""


C = TypeVar("C", bound=Kept)


class AsyncPool(Generic[C]):
    """Idle connections, the last used first, and the tasks that wait for a place, the first come first."""

    __slots__ = ("_connect", "_free", "_idle", "_loop", "_most", "_waiting", "closed")

    def __init__(self, connect: Callable[[Deadline], Awaitable[C]], most: int) -> None:
        """`connect` raises OSError where nothing listens, TimeoutError past the deadline."""
        self._connect = connect
        self._free = self._most = most
        self._idle: deque[C] = deque()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._loop = asyncio.get_running_loop()
        self.closed = False

    async def take_place(self, deadline: Deadline) -> None:
        """Take one of the places for connections, waiting for one. Raise TimeoutError past the deadline."""
        if self._free and not self._waiting:
            self._free -= 1
            return
        left_s = deadline.left_s()
        place = self._loop.create_future()
        self._waiting.append(place)
        timer = self._loop.call_later(left_s, _expire, place, self._most)
        try:
            await place
        except BaseException:
            if place.done() and not place.cancelled() and place.exception() is None:
                self.free_place()  # it was given just as the task was cancelled
            raise
        finally:
            timer.cancel()

    def free_place(self) -> None:
        """Give the place to the next that waits."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._free += 1

    def idle(self) -> C | None:
        """Take an idle connection that is still open; None where there is none."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_quiet:
                return connection
            connection.close()
        return None

    async def fresh(self, deadline: Deadline) -> C:
        """Connect. Raise OSError where nothing listens, TimeoutError past the deadline."""
        return await self._connect(deadline)

    def give_back(self, connection: C) -> None:
        """Keep a connection for the next request."""
        if self.closed:
            connection.close()
        else:
            self._idle.append(connection)

    def renew(self) -> None:
        """Close the idle connections: the next requests connect."""
        while self._idle:
            self._idle.pop().close()

    def close(self) -> None:
        """Close the idle connections, and each one in use as it is given back."""
        self.closed = True
        self.renew()


def _expire(place: asyncio.Future[None], most: int) -> None:
    if not place.done():
        place.set_exception(NoneFree(most))
