"""What ended when, counted by windows in bounded memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from tritonforge.load.figures.accumulator import Accumulator
from tritonforge.load.links.lane import Lane
from tritonforge.load.pacing.clock import waited_ns
from tritonforge.load.workers.job import Tally

__all__ = ["Recorder"]

_BATCH = 1024
"""How many requests go into histograms together: some 0.2 ms, in which nothing is read."""
_KINDS = 20
_NEVER = 1 << 62
_SUMS = ("latency", "uncorrected", "late", "first", "between")


class Recorder:
    """Counts what ends in a window, and hands the window's tally on when its end has passed.

    Window `i` is from `i * window_ns` after the `begin` on. What ends before the first is not counted. Samples wait in
    lists until there are some of them, which go into histograms together. `from_first`: the time of the first window is
    from where the first of its requests started, as that of the last one is until the last has ended. Of what
    `under_way` gives, those older than each of `bounds_ns` are counted at the edges.
    """

    def __init__(
        self,
        window_ns: int,
        emit: Callable[[Tally], None],
        *,
        from_first: bool = False,
        bounds_ns: Sequence[int] = (),
    ) -> None:
        self._emit = emit
        self._start, self._length = _NEVER, window_ns
        self._tally = Tally(-1)
        self._cpu = self._waited = 0
        self._from_first, self._first_start = from_first, _NEVER
        self.edge = _NEVER
        """When the present window ends: callers ask for `roll` once it has passed."""
        self.held_back = 0
        self.under_way: Callable[[], Iterable[int]] = tuple
        """When those that have not ended were meant to start."""
        self._overdue = dict.fromkeys(bounds_ns, 0)
        self._ahead = 0
        self._samples: list[tuple[int, int, int]] = []
        self._first: list[int] = []
        self._between: list[int] = []
        self._sums = {name: Accumulator() for name in _SUMS}

    def begin(self, start_ns: int) -> None:
        """Set when the first window begins."""
        self._start = self.edge = start_ns

    def add(self, lane: Lane, ended: int) -> None:
        """Count a request that succeeded."""
        samples = self._samples
        samples.append((lane.intended, lane.started, ended))
        if len(samples) >= _BATCH:
            self._flush()

    def add_response(self, lane: Lane, now: int) -> None:
        """Count a response of a stream: the first since its intended start, others since the one before."""
        if lane.last:
            self._between.append(now - lane.last)
            if len(self._between) >= _BATCH:
                self._flush()
        else:
            self._first.append(now - lane.intended)
            if len(self._first) >= _BATCH:
                self._flush()

    def add_send(self, ns: int) -> None:
        """Count the time that a request took to be handed over to the event loop."""
        self._tally.sent += 1
        self._tally.sending_ns += ns

    def add_receive(self, first: int, now: int) -> None:
        """Count the time from an answer's first byte until it was read, which is now, in the window of that."""
        if now >= self.edge:
            self.roll(now)
        self._tally.received += 1
        self._tally.receiving_ns += now - first

    def add_check(self, ns: int) -> None:
        """Count the time that an answer took to be checked."""
        self._tally.checking_ns += ns

    def add_error(self, error: str, started: int = _NEVER, model: str = "") -> None:
        """Count a request that failed, by what precedes the first colon; one that was never sent has no start.

        `model` is whose it was, of a mix.
        """
        self._first_start = min(self._first_start, started)
        kind, _, words = error.partition(": ")
        errors = self._tally.errors
        if kind not in errors and len(errors) >= _KINDS:
            kind = "other"
        errors[kind] = errors.get(kind, 0) + 1
        self._tally.examples.setdefault(kind, words)
        if model:
            models = self._tally.models.setdefault(kind, {})
            models[model] = models.get(model, 0) + 1

    def roll(self, now: int) -> None:
        """Close the windows whose end has passed."""
        while now >= self.edge:
            self._close(self.edge)
            self.edge += self._length

    def finish(self, now: int, until: int = 0) -> None:
        """Close the windows that have passed, and the last, shorter one at `now`.

        Where `until` is later, their time goes on until then, as nothing ends any more.
        """
        self.roll(now)
        self._ahead = max(until - now, 0)
        end = now + self._ahead
        self.roll(end)
        if end > self.edge - self._length or not self._ahead:  # else it would be empty
            self._close(end)
        self.edge = _NEVER

    def _close(self, end: int) -> None:
        self._flush()
        tally, cpu, waited = self._tally, time.process_time_ns(), waited_ns()
        for name, accumulator in self._sums.items():
            setattr(tally, name, accumulator.take())
        before, self._overdue = self._overdue, self._count_overdue(end)
        if tally.index >= 0:
            tally.overdue = {bound: count - before[bound] for bound, count in self._overdue.items()}
            tally.duration_ns = end - (self._start + tally.index * self._length)
            if self._from_first and tally.index == 0 and self._first_start < _NEVER:
                tally.lead_ns = self._start - self._first_start
                tally.duration_ns += tally.lead_ns
            tally.cpu_ns, tally.waited_ns = cpu - self._cpu, waited - self._waited
            tally.held_back = self.held_back
            self._emit(tally)
        self._first_start = _NEVER
        self._tally, self._cpu, self._waited, self.held_back = Tally(tally.index + 1), cpu, waited, 0

    def _count_overdue(self, now: int) -> dict[int, int]:
        if not self._overdue:
            return {}
        ages = now - self._ahead - np.fromiter(self.under_way(), np.int64)
        return {bound: int(np.count_nonzero(ages > bound)) for bound in self._overdue}

    def _flush(self) -> None:
        sums = self._sums
        if self._samples:
            intended, started, ended = np.array(self._samples, np.int64).T
            self._first_start = min(self._first_start, int(started.min()))
            sums["latency"].add(ended - intended)
            sums["uncorrected"].add(ended - started)
            sums["late"].add(np.maximum(started - intended, 0))
        sums["first"].add(np.array(self._first, np.int64))
        sums["between"].add(np.array(self._between, np.int64))
        for values in (self._samples, self._first, self._between):
            values.clear()
