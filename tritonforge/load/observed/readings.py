"""The server's own figures at the windows' edges, read by a thread of its own: whoever makes figures may be late."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType

from tritonforge.load.observed.processes import Usage
from tritonforge.load.observed.statistics import Counters
from tritonforge.load.pacing.clock import NS, now_ns

__all__ = ["Reading", "Readings"]

_END_S = 1.0
_REST = 10
"""How many times as long as a reading takes there is to be before and after one that may be left out."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read at an edge, and when it had come."""

    counters: Counters
    used: Usage | None
    read_ns: int


class Readings:
    """Reads at `first_ns`, and every `step_ns` after it. Use it in a `with` block, and ask for each edge in turn.

    `last` is the edge at which it ends. With `sparse`, those between the first and the last are left out where they
    take much of the time, as on a busy machine, so that the last isn't late for them.
    """

    def __init__(
        self,
        counters: Callable[[], Counters],
        used: Callable[[], Usage | None],
        *,
        first_ns: int,
        step_ns: int,
        last: int,
        sparse: bool,
        before: Counters | None = None,
    ) -> None:
        self._counters, self._used, self._before = counters, used, before
        self._first_ns, self._step_ns, self._last, self._sparse = first_ns, step_ns, last, sparse
        self._over, self._left = threading.Event(), threading.Event()
        self._found: queue.SimpleQueue[Reading | BaseException | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._read_all, name="readings", daemon=True)

    def __enter__(self) -> Readings:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._over.set()
        self._thread.join(_END_S)  # no longer: it may wait for an answer that doesn't come

    def take(self) -> Reading | None:
        """Wait for the next edge's; None where it was left out. Raise what reading it raised."""
        found = self._found.get()
        if isinstance(found, BaseException):
            raise found
        return found

    def rest(self) -> Iterator[Reading]:
        """Read once more, now, as the load has ended by itself; give that, and what wasn't asked for before it."""
        self._over.set()
        self._thread.join()
        while not self._found.empty():
            if (reading := self.take()) is not None:
                yield reading

    def _read_all(self) -> None:
        edge = took_ns = done_ns = 0
        try:
            while edge <= self._last:
                due_ns = self._first_ns + edge * self._step_ns
                over = self._over.wait(max(0, due_ns - now_ns()) / NS)
                if self._left.is_set():
                    return
                last_ns = self._first_ns + self._last * self._step_ns
                spare_ns = min(due_ns - done_ns, last_ns - max(due_ns, now_ns()))
                between = self._sparse and 0 < edge < self._last and not over
                if between and spare_ns < _REST * took_ns:
                    self._found.put(None)
                else:
                    begun_ns = now_ns()
                    self._found.put(self._read())
                    done_ns = now_ns()
                    took_ns = done_ns - begun_ns
                if over:
                    return
                edge += 1
        except BaseException as error:
            self._found.put(error)

    def _read(self) -> Reading:
        counters, self._before = self._counters() if self._before is None else self._before, None
        read_ns = now_ns()  # before it looks at the processes, which takes a while
        return Reading(counters, self._used(), read_ns)
