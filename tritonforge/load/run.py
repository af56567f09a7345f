"""One measurement under way: its windows, and when there are enough of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

from tritonforge.load.figures.merge import coalesce, joined, merge_tallies
from tritonforge.load.figures.steadiness import agree, drift, in_parts
from tritonforge.load.observed.readings import Reading
from tritonforge.load.pacing.clock import NS
from tritonforge.load.settings import Load, Settings
from tritonforge.load.workers.job import Tally

__all__ = ["UNLIMITED", "Run"]

_KEPT = 240
_WINDOW_S = 5.0
_PARTS = 10
_SHORTEST_S = 0.05
_LONGER = 1.05
UNLIMITED = 1 << 30


class Run:
    """The state of one measurement: its times, and what came of it so far."""

    def __init__(self, load: Load, settings: Settings, windows: int | None) -> None:
        self.load, self.settings = load, settings
        self.whole = windows is not None or settings.duration_s is not None or settings.requests is not None
        self.requests = settings.requests if windows is None else None
        self.limit = windows or settings.max_windows
        duration_s = settings.duration_s if windows is None else None
        self._begins_s = min(settings.times_s) if load.given else settings.warmup_s + settings.ramp_s
        span_s = max(settings.times_s) - self._begins_s if load.given and not settings.repeat_s else None
        # The last of given times ends later than it is due, and a window of that alone would be a sliver.
        ends_s = None if span_s is None else span_s * _LONGER
        lasting_s = min((each for each in (duration_s, ends_s) if each is not None), default=None)
        window_s = _window_s(settings, lasting_s)
        self.window_ns = int(window_s * NS)
        if windows is None and span_s is not None and (duration_s is None or duration_s > span_s):
            self.whole = True
            self.limit = math.ceil((span_s + settings.timeout_s) / window_s) + 1  # it ends by itself before
        elif windows is None and settings.duration_s is not None:
            self.limit = min(max(1, round(settings.duration_s / window_s)), _KEPT)
            self.window_ns = int(settings.duration_s / self.limit * NS)
        # Windows that are short for the sake of intervals differ by chance alone, those of given times by intent.
        short = settings.window_s is None and window_s < _WINDOW_S
        self._alike = span_s is None
        self._judged = not short and self._alike
        if self.requests is not None:
            self.limit = UNLIMITED
        self.stable_windows = settings.stable_windows
        self.failed_after: Counter[str] = Counter()
        self.tallies: dict[int, list[Tally]] = {}
        self.windows: list[Tally] = []
        self.readings: list[Reading] = []
        self.seen = 0
        self.idle_ns = 0
        self.agreed: bool | None = None if self.whole else False
        self.parts = 1
        """In how many processes it is."""

    def begin(self, start_ns: int) -> None:
        """Set when the load starts, and the windows."""
        self.start_ns = start_ns
        self.windows_ns = start_ns + int(self._begins_s * NS)

    def note(self, reading: Reading | None) -> None:
        """Keep the server's figures at a window's edge, those about the measured windows; None where there are none."""
        if reading is not None:
            self.readings.append(reading)
        if self.whole:
            del self.readings[1:-1]
        else:
            del self.readings[: -self.stable_windows - 1]

    def late_ns(self, measured: int) -> int:
        """Give how far from the edges of the last `measured` windows the server's figures were read, added up."""
        edges = [self.windows_ns, *self.boundaries_ns[1:]]  # what ended in a lead is in no window
        return abs(self.readings[0].read_ns - edges[-1 - measured]) + abs(self.readings[-1].read_ns - edges[-1])

    def troubled(self, index: int) -> bool:
        """Tell whether in a window, whose tallies are there, requests failed or had no connection, or none ended."""
        tallies = self.tallies.get(index, ())
        failed = any(tally.errors or tally.held_back for tally in tallies)
        return failed or not any(tally.latency.count for tally in tallies)

    def cut_off(self, index: int) -> bool:
        """Tell whether in a window, whose tallies are there, nothing succeeded, and connections were lost."""
        tallies = self.tallies.get(index, ())
        lost = any(tally.held_back or "connection" in tally.errors for tally in tallies)
        return lost and not any(tally.latency.count for tally in tallies)

    def close(self, index: int) -> None:
        """Take the tallies of a window that is over."""
        self.seen = max(self.seen, index + 1)
        tallies = self.tallies.pop(index, None)
        if tallies:
            self.windows.append(merge_tallies(tallies))
            ended = self.windows[-1].latency.count or self.windows[-1].errors
            self.idle_ns = 0 if ended else self.idle_ns + self.window_ns
        if not self.whole or self.over():  # of what is measured whole, its parts are compared once
            self._judge()
        self.windows = coalesce(self.windows, _KEPT)

    def end(self) -> None:
        """Take what is there of windows after a load that ended by itself; a last one that is a sliver has no figures.

        It is part of the one before: by itself it would be held against the others, and be in their intervals.
        """
        for index in sorted(self.tallies):
            self.close(index)
        if len(self.windows) > 1 and self.windows[-1].duration_ns < self.window_ns / 2:
            self.windows[-2:] = [joined(self.windows[-2:])]
        self._judge()

    def fail(self, errors: Sequence[str]) -> None:
        """Count in the last window what failed after it, of the requests that were under way at its end.

        `failed_after` has how many of each kind they are.
        """
        for error in errors if self.windows else ():
            last, (kind, _, words) = self.windows[-1], error.partition(": ")
            last.errors[kind] = last.errors.get(kind, 0) + 1
            last.examples.setdefault(kind, words)
            self.failed_after[kind] += 1

    def _judge(self) -> None:
        if not self.whole:
            self.agreed = agree(self.windows, self.settings)
        elif not self._judged or len(self.windows) < self.stable_windows:
            self.agreed = None
        else:  # the figures are of all windows, of which some may always differ by chance
            self.agreed = agree(in_parts(self.windows, self.stable_windows), self.settings)

    def drift(self) -> str:
        """Say how far the measurement's parts differ where that isn't judged, and they do; else nothing."""
        return drift(self.windows, self.settings) if self.agreed is None and self._alike else ""

    @property
    def measured(self) -> int:
        """How many of the windows, the last ones, have the figures: where it is to be stable, those that are judged."""
        return len(self.windows) if self.whole else min(self.stable_windows, len(self.windows))

    @property
    def boundaries_ns(self) -> list[int]:
        """The edges of the windows, from where the first one's time begins to the last one's end."""
        lead_ns = self.windows[0].lead_ns if self.windows else 0
        edges = accumulate((tally.duration_ns for tally in self.windows), initial=self.windows_ns - lead_ns)
        return list(edges)

    @property
    def dead(self) -> bool:
        """Whether nothing ends any more, not even by the timeout: a closed loop has no connection left."""
        return self.load.kind == "concurrency" and self.idle_ns > self.settings.timeout_s * NS + self.window_ns

    def over(self) -> bool:
        """Tell whether enough has been measured."""
        return self.seen >= self.limit or (not self.whole and self.agreed is True)


def _window_s(settings: Settings, lasting_s: float | None) -> float:
    """Give the windows' length: as it is set, else such that what lasts so long has several, for an interval."""
    if settings.window_s is not None:
        return settings.window_s
    return _WINDOW_S if lasting_s is None else min(_WINDOW_S, max(lasting_s / _PARTS, _SHORTEST_S))
