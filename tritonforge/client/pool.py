"""The kept-alive connections to one server."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from tritonforge.client.deadline import Deadline
from tritonforge.client.http_answer import NoneFree

__all__ = ["Pool"]


class Kept(Protocol):
    """A connection that takes one request after another."""

    def is_quiet(self) -> bool:
        """Tell whether it takes another request: the peer has not closed it, nor sent what it should not."""

    def close(self) -> None:
        """Close the socket."""


C = TypeVar("C", bound=Kept)


class Pool(Generic[C]):
    """Connections, each with a place of its own, for any number of threads: a deque's own operations are atomic.

    Of those that are idle, the last used is the first.
    """

    __slots__ = ("_connect", "_freed", "_idle", "_most", "_owner", "_places", "_waiting", "closed")

    def __init__(self, connect: Callable[[Deadline], C], most: int) -> None:
        """`connect` raises OSError where nothing listens, TimeoutError past the deadline."""
        self._connect = connect
        self._most = most
        self.closed = False
        self._begin()

    def take(self, deadline: Deadline) -> C | None:
        """Take an idle connection; where there is none, None: a place for a new one. Wait for either.

        Raise NoneFree past the deadline.
        """
        if self._owner != os.getpid():
            self._begin_in_child()
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                try:
                    self._places.pop()
                except IndexError:
                    self._wait(deadline)
                    continue
                return None
            quiet = False
            try:
                quiet = connection.is_quiet()
            finally:
                if not quiet:
                    self.drop(connection)
            if quiet:
                return connection

    def take_place(self, deadline: Deadline) -> None:
        """Take a place for a new connection, that of an idle one if need be. Raise NoneFree past the deadline."""
        if self._owner != os.getpid():
            self._begin_in_child()
        try:
            self._places.pop()
        except IndexError:
            connection = self.take(deadline)
            if connection is not None:
                connection.close()

    def drop(self, connection: C | None) -> None:
        """Close a connection, if it was made, and give its place to one that waits."""
        if connection is not None:
            connection.close()
        self._places.append(None)
        self._tell()

    def fresh(self, deadline: Deadline) -> C:
        """Connect. Raise OSError where nothing listens, TimeoutError past the deadline."""
        return self._connect(deadline)

    def give_back(self, connection: C) -> None:
        """Keep a connection for the next request."""
        self._idle.append(connection)
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
        self._owner = os.getpid()
        self._idle: deque[C] = deque()
        self._places = deque([None] * self._most)  # a semaphore of threading's takes several times as long
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
                while not (self._idle or self._places):
                    self._freed.wait(self._left_s(deadline))
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
