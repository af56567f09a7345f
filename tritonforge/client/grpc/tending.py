"""Idle gRPC connections, looked at once a second by one thread for all of a process's clients.

A server that is to end says so on each of its connections, and waits until they are closed: Triton 24.10 for all of its
exit timeout. A client that blocks reads a connection in calls alone, and would never hear of it while it is idle.
"""

from __future__ import annotations

import threading
import time
import weakref
from contextlib import suppress
from typing import Protocol

from tritonforge.client.concurrency.forks import watch_forks
from tritonforge.client.connections.pool import Place, Pool
from tritonforge.client.grpc.connection import GrpcConnection

__all__ = ["TendedPool", "Tender"]

_EVERY_S = 1.0
_IDLE_S = 0.5
"""Connections that were used since are left to the next call, which looks itself."""


class Tended(Protocol):
    """Something with idle connections."""

    def tend(self) -> bool:
        """Look at them; tell whether there are any left to look at."""


class Tender:
    """A thread that runs as long as there is something to tend, and keeps no process alive."""

    def __init__(self, every_s: float = _EVERY_S) -> None:
        self._every_s = every_s
        self._tended: weakref.WeakSet[Tended] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._runs = False
        watch_forks(self)

    def add(self, thing: Tended) -> None:
        """Tend it from now on, until it has no idle connections."""
        with self._lock:
            self._tended.add(thing)
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._work, name="tritonforge-idle", daemon=True).start()

    def after_fork(self) -> None:
        """Begin anew: neither the thread nor what it tended is the child's."""
        self._tended, self._lock, self._runs = weakref.WeakSet(), threading.Lock(), False

    def _work(self) -> None:
        while True:
            time.sleep(self._every_s)
            with self._lock:
                things = list(self._tended)
                self._tended.clear()
            busy = [thing for thing in things if thing.tend()]
            with self._lock:
                self._tended.update(busy)
                if not self._tended:
                    self._runs = False
                    return
            del things, busy  # a client that nobody has any more is to go


_TENDER = Tender()


class TendedPool(Pool[GrpcConnection]):
    """A pool whose idle connections are looked at between calls."""

    __slots__ = ("_tended",)

    _tended: bool

    def give_back(self, place: Place[GrpcConnection]) -> None:
        """Keep a place's connection for the next request, and see to it that it is tended until then."""
        super().give_back(place)
        if not self._tended:
            self._tended = True
            _TENDER.add(self)

    def tend(self) -> bool:
        """Read what has come on the idle connections, and close those that the server has done with."""
        self._tended = False  # first: one that is given back from now on has it tended again
        looked_at = []
        with suppress(IndexError):
            while _idle_s(self._idle[0]) > _IDLE_S:  # the first is the one that was idle for longest
                place = self._idle.popleft()
                if place.connection is not None and place.connection.tend():
                    looked_at.append(place)
                else:
                    self.drop(place)
        self._idle.extendleft(reversed(looked_at))
        if self.closed:  # asked afterwards, as in `give_back`
            self._drop_idle()
        if not self._idle:
            return False
        self._tended = True
        return True

    def _begin(self) -> None:
        super()._begin()
        self._tended = False


def _idle_s(place: Place[GrpcConnection]) -> float:
    return 0.0 if place.connection is None else place.connection.idle_s()
