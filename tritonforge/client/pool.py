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
    """Idle connections, the last used first, for any number of threads: a deque's own operations are atomic."""

    __slots__ = ("_connect", "_freed", "_idle", "_most", "_owner", "_places", "_waiting", "closed")

    def __init__(self, connect: Callable[[Deadline], C], most: int) -> None:
        """`connect` raises OSError where nothing listens, TimeoutError past the deadline."""
        self._connect = connect
        self._most = most
        self.closed = False
        self._begin()

    def take(self, deadline: Deadline) -> C | None:
        """Take one of the places for connections, waiting for one, and an idle connection; None where there is none.

        Raise TimeoutError past the deadline.
        """
        self.take_place(deadline)
        try:
            while True:
                connection = self._idle.pop()
                if connection.is_quiet():
                    return connection
                connection.close()
        except IndexError:
            return None
        except BaseException:
            self.free_place()
            raise

    def take_place(self, deadline: Deadline) -> None:
        """Take one of the places alone."""
        if self._owner != os.getpid():  # a forked child must not write into its parent's connections
            self._drop()
            self._begin()
        try:
            self._places.pop()
        except IndexError:
            self._wait_for_place(deadline)

    def free_place(self) -> None:
        """Give the place to one that waits."""
        self._places.append(None)
        if self._waiting:
            with self._freed:
                self._freed.notify()

    def fresh(self, deadline: Deadline) -> C:
        """Connect. Raise OSError where nothing listens, TimeoutError past the deadline."""
        return self._connect(deadline)

    def give_back(self, connection: C) -> None:
        """Keep a connection for the next request."""
        self._idle.append(connection)
        if self.closed:  # asked afterwards: another thread may close the pool at any moment
            self._drop()

    def renew(self) -> None:
        """Close the idle connections: the next requests connect."""
        self._drop()

    def close(self) -> None:
        """Close the idle connections, and each one in use as it is given back."""
        self.closed = True
        self._drop()

    def _begin(self) -> None:
        self._owner = os.getpid()
        self._idle: deque[C] = deque()
        self._places = deque([None] * self._most)  # a semaphore of threading's takes several times as long
        self._freed = threading.Condition()
        self._waiting = 0

    def _wait_for_place(self, deadline: Deadline) -> None:
        with self._freed:
            self._waiting += 1
            try:
                while not self._places:
                    self._freed.wait(self._left_s(deadline))
                self._places.pop()
            except IndexError:  # a thread that didn't wait was first
                self._freed.notify()
            else:
                return
            finally:
                self._waiting -= 1
        self.take_place(deadline)

    def _left_s(self, deadline: Deadline) -> float:
        try:
            return deadline.left_s()
        except TimeoutError as error:
            raise NoneFree(self._most) from error

    def _drop(self) -> None:
        try:
            while True:
                self._idle.pop().close()
        except IndexError:
            return
