"""What ended when, counted by windows in bounded memory."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from tritonforge.load.histogram import Histogram
from tritonforge.load.job import Tally

__all__ = ["Recorder"]

_BATCH = 16384
_KINDS = 20
_NEVER = 1 << 62


class Recorder:
    """Counts what ends in a window, and hands the window's tally on when its end has passed.

    Window `i` is from `start_ns + i * window_ns` on. What ends before the first is not counted. Samples wait in lists
    until there are some thousands, which go into histograms together.
    """

    def __init__(self, start_ns: int, window_ns: int, emit: Callable[[Tally], None]) -> None:
        self._emit = emit
        self._start, self._length = start_ns, window_ns
        self._tally = Tally(-1)
        self._cpu = 0
        self.edge = start_ns
        """When the present window ends: callers ask for `roll` once it has passed."""
        self.held_back = 0
        self._ends: list[int] = []
        self._started: list[int] = []
        self._intended: list[int] = []
        self._first: list[int] = []
        self._between: list[int] = []

    def add(self, intended: int, started: int, ended: int) -> None:
        """Count a request that succeeded."""
        self._intended.append(intended)
        self._started.append(started)
        self._ends.append(ended)
        if len(self._ends) >= _BATCH:
            self._flush()

    def add_response(self, intended: int, before: int, now: int) -> None:
        """Count a response of a stream: the first since its intended start, others since the one before (0: none)."""
        if before:
            self._between.append(now - before)
            if len(self._between) >= _BATCH:
                self._flush()
        else:
            self._first.append(now - intended)

    def add_error(self, error: str) -> None:
        """Count a request that failed, by what precedes the first colon."""
        kind, _, words = error.partition(": ")
        errors = self._tally.errors
        if kind not in errors and len(errors) >= _KINDS:
            kind = "other"
        errors[kind] = errors.get(kind, 0) + 1
        self._tally.examples.setdefault(kind, words)

    def roll(self, now: int) -> None:
        """Close the windows whose end has passed."""
        while now >= self.edge:
            self._close(self.edge)
            self.edge += self._length

    def finish(self, now: int) -> None:
        """Close the windows that have passed, and the last, shorter one at `now`."""
        self.roll(now)
        self._close(now)
        self.edge = _NEVER

    def _close(self, end: int) -> None:
        self._flush()
        tally, cpu = self._tally, time.process_time_ns()
        if tally.index >= 0:
            tally.duration_ns = end - (self._start + tally.index * self._length)
            tally.cpu_ns = cpu - self._cpu
            tally.held_back = self.held_back
            self._emit(tally)
        self._tally, self._cpu, self.held_back = Tally(tally.index + 1), cpu, 0

    def _flush(self) -> None:
        tally = self._tally
        if self._ends:
            ends = np.array(self._ends, np.int64)
            started = np.array(self._started, np.int64)
            intended = np.array(self._intended, np.int64)
            tally.latency = tally.latency.merged(Histogram.of(ends - intended))
            tally.uncorrected = tally.uncorrected.merged(Histogram.of(ends - started))
            tally.late = tally.late.merged(Histogram.of(np.maximum(started - intended, 0)))
        tally.first = tally.first.merged(Histogram.of(self._first))
        tally.between = tally.between.merged(Histogram.of(self._between))
        for values in (self._ends, self._started, self._intended, self._first, self._between):
            values.clear()
