"""The kept-alive connections to one server."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from tritonforge.client.deadline import Deadline
from tritonforge.client.http_connection import Connection, Route

__all__ = ["Pool"]


class Pool:
    """Idle connections, the last used first, for any number of threads: a deque's own operations are atomic."""

    __slots__ = ("_idle", "_most", "_owner", "_places", "_route", "closed")

    def __init__(self, route: Route, most: int) -> None:
        self._route = route
        self._most = most
        self.closed = False
        self._begin()

    @contextmanager
    def place(self, deadline: Deadline) -> Iterator[None]:
        """Take one of the places for connections, waiting for one. Raise TimeoutError past the deadline."""
        if self._owner != os.getpid():  # a forked child must not write into its parent's connections
            self._drop()
            self._begin()
        places = self._places
        if not places.acquire(blocking=False) and not places.acquire(timeout=deadline.left_s()):
            raise TimeoutError
        try:
            yield
        finally:
            places.release()

    def idle(self) -> Connection | None:
        """Take an idle connection that is still open; None where there is none."""
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread was first
                return None
            if connection.is_quiet():
                return connection
            connection.close()
        return None

    def fresh(self, deadline: Deadline) -> Connection:
        """Connect. Raise OSError where nothing listens, TimeoutError past the deadline."""
        return Connection(self._route, deadline)

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next request."""
        self._idle.append(connection)
        if self.closed:  # asked afterwards: another thread may close the pool at any moment
            self._drop()

    def close(self) -> None:
        """Close the idle connections, and each one in use as it is given back."""
        self.closed = True
        self._drop()

    def _begin(self) -> None:
        self._owner = os.getpid()
        self._idle: deque[Connection] = deque()
        self._places = threading.Semaphore(self._most)

    def _drop(self) -> None:
        try:
            while True:
                self._idle.pop().close()
        except IndexError:
            return
