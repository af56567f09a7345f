"""The kept-alive connections to one server."""

from __future__ import annotations

import os
from collections import deque

from tritonforge.client.deadline import Deadline
from tritonforge.client.http_connection import Connection

__all__ = ["Pool"]

_MOST_IDLE = 64


class Pool:
    """Idle connections, the last used first, for any number of threads: a deque's own operations are atomic."""

    __slots__ = ("_host", "_idle", "_owner", "_port", "closed")

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._idle: deque[Connection] = deque()
        self._owner = os.getpid()
        self.closed = False

    def idle(self) -> Connection | None:
        """Take an idle connection that is still open; None where there is none."""
        if self._owner != os.getpid():  # a forked child must not write into its parent's connections
            self._drop()
            self._owner = os.getpid()
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
        return Connection(self._host, self._port, deadline)

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next request, unless there are enough."""
        if self.closed or len(self._idle) >= _MOST_IDLE:
            connection.close()
        else:
            self._idle.append(connection)

    def close(self) -> None:
        """Close the idle connections, and each one in use as it is given back."""
        self.closed = True
        self._drop()

    def _drop(self) -> None:
        try:
            while True:
                self._idle.pop().close()
        except IndexError:
            return
