"""The kept-alive connections to one server."""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from tritonforge.client.deadline import Deadline
from tritonforge.client.http.answer import NoneFree

__all__ = ["Place", "Pool"]


class Kept(Protocol):
    """A connection that takes one request after another."""

    def is_quiet(self) -> bool:
        """Tell whether it takes another request: the peer has not closed it, nor sent what it should not."""

    def close(self) -> None:
        """Close the socket."""


C = TypeVar("C", bound=Kept)


class Place(Generic[C]):
    """One of a pool's places, and its connection, if there is one.

    The pool gets another for one that is lost: an exception of a signal handler, as Ctrl-C's, may come between any two
    steps, and take a place from whoever was about to give it back.
    """

    __slots__ = ("_pool", "connection", "owner")

    def __init__(self, pool: Pool[C]) -> None:
        self._pool = weakref.ref(pool)
        self.owner = os.getpid()
        self.connection: C | None = None

    def __del__(self) -> None:
        pool = self._pool()
        if pool is not None:
            pool.lose(self)


class Pool(Generic[C]):
    """Connections, each in a place of its own, for any number of threads: a deque's own operations are atomic.

    Of those that are idle, the last used is the first.
    """

    __slots__ = ("__weakref__", "_connect", "_free", "_freed", "_idle", "_most", "_owner", "_waiting", "closed")

    def __init__(self, connect: Callable[[Deadline], C], most: int) -> None:
        """`connect` raises OSError where nothing listens, TimeoutError past the deadline."""
        self._connect = connect
        self._most = most
        self.closed = False
        self._begin()

    def take(self, deadline: Deadline) -> Place[C]:
        """Take the place of an idle connection; where there is none, one for a new connection. Wait for either.

        Raise NoneFree past the deadline.
        """
        if self._owner != os.getpid():
            self._begin_in_child()
        while True:
            try:
                place = self._idle.pop()
            except IndexError:
                try:
                    return self._free.pop()
                except IndexError:
                    self._wait(deadline)
                    continue
            connection = place.connection
            if connection is not None and connection.is_quiet():
                return place
            self.drop(place)

    def take_free(self, deadline: Deadline) -> Place[C]:
        """Take a place for a new connection, that of an idle one if need be. Raise NoneFree past the deadline."""
        if self._owner != os.getpid():
            self._begin_in_child()
        try:
            return self._free.pop()
        except IndexError:
            place = self.take(deadline)
            if place.connection is not None:
                place.connection.close()
                place.connection = None
            return place

    def drop(self, place: Place[C]) -> None:
        """Close the connection of a place, if it has one, and give the place to one that waits."""
        if place.connection is not None:
            place.connection.close()
            place.connection = None
        if place.owner == self._owner:
            self._free.append(place)
            self._tell()

    def lose(self, place: Place[C]) -> None:
        """Make another place for one that nobody holds any more, and close its connection."""
        if place.owner == self._owner == os.getpid():
            if place.connection is not None:
                place.connection.close()
            self._free.append(Place(self))
            self._tell()

    def connect(self, place: Place[C], deadline: Deadline) -> C:
        """Make the connection of a place. Raise OSError where nothing listens, TimeoutError past the deadline."""
        place.connection = connection = self._connect(deadline)
        return connection

    def give_back(self, place: Place[C]) -> None:
        """Keep a place's connection for the next request."""
        self._idle.append(place)
        if self._waiting:
            self._tell()
        if self.closed:  # asked afterwards: another thread may close the pool at any moment
            self._drop_idle()

    def renew(self) -> None:
        """Close the idle connections: the next requests connect."""
        self._drop_idle()

    def close(self) -> None:
        """Close the idle connections, and each one in use as it is given back."""
        self.closed = True
        self._drop_idle()

    def _begin_in_child(self) -> None:
        """Begin anew: a forked child must not write into its parent's connections."""
        self._drop_idle()
        self._begin()

    def _begin(self) -> None:
        self._owner = os.getpid()  # first: the places of another owner are not made anew
        self._idle: deque[Place[C]] = deque()
        self._free = deque([Place(self) for _ in range(self._most)])  # a semaphore takes several times as long
        self._freed = threading.Condition()
        self._waiting = 0

    def _tell(self) -> None:
        if self._waiting:
            with self._freed:
                self._freed.notify()

    def _wait(self, deadline: Deadline) -> None:
        with self._freed:
            self._waiting += 1
            try:
                while not (self._idle or self._free):
                    self._freed.wait(self._left_s(deadline))
            except BaseException:
                self._freed.notify()  # it may have been told of a place that it doesn't take now
                raise
            finally:
                self._waiting -= 1

    def _left_s(self, deadline: Deadline) -> float:
        try:
            return deadline.left_s()
        except TimeoutError as error:
            raise NoneFree(self._most) from error

    def _drop_idle(self) -> None:
        try:
            while True:
                self.drop(self._idle.pop())
        except IndexError:
            return
