"""One measurement under way: its windows, and when there are enough of them."""

from __future__ import annotations

from tritonforge.load.clock import NS
from tritonforge.load.job import Tally
from tritonforge.load.merge import coalesce, merge_tallies, stable
from tritonforge.load.processes import Usage
from tritonforge.load.settings import Load, Settings
from tritonforge.load.statistics import Counters

__all__ = ["UNLIMITED", "Run"]

_KEPT = 240
UNLIMITED = 1 << 30


class Run:
    """The state of one measurement: its times, and what came of it so far."""

    def __init__(self, load: Load, settings: Settings, windows: int | None) -> None:
        self.load, self.settings = load, settings
        self.whole = windows is not None or settings.duration_s is not None or settings.requests is not None
        self.requests = settings.requests if windows is None else None
        self.limit = windows or settings.max_windows
        self.window_ns = int(settings.window_s * NS)
        if windows is None and settings.duration_s is not None:
            self.limit = min(max(1, round(settings.duration_s / settings.window_s)), _KEPT)
            self.window_ns = int(settings.duration_s / self.limit * NS)
        if self.requests is not None:
            self.limit = UNLIMITED
        self.stable_windows = settings.stable_windows
        self.tallies: dict[int, list[Tally]] = {}
        self.windows: list[Tally] = []
        self.snapshots: list[tuple[Counters, Usage | None]] = []
        self.seen = 0
        self.agreed = False

    def begin(self, parts: int, start_ns: int) -> None:
        """Set when the load and the windows start, and in how many processes."""
        self.parts, self.start_ns = parts, start_ns
        self.windows_ns = start_ns + int((self.settings.warmup_s + self.settings.ramp_s) * NS)

    def note(self, counters: Counters, used: Usage | None) -> None:
        """Keep the server's figures at a window's edge: those about the windows that will be measured."""
        self.snapshots.append((counters, used))
        if self.whole:
            del self.snapshots[1:-1]
        else:
            del self.snapshots[: -self.stable_windows - 1]

    def close(self, index: int) -> None:
        """Take the tallies of a window that is over."""
        self.seen = max(self.seen, index + 1)
        tallies = self.tallies.pop(index, None)
        if tallies:
            self.windows.append(merge_tallies(tallies))
        agreed = stable(self.windows, self.settings)
        self.agreed = agreed or (self.whole and len(self.windows) < self.stable_windows)
        self.windows = coalesce(self.windows, _KEPT)

    def over(self) -> bool:
        """Tell whether enough has been measured."""
        return self.seen >= self.limit or (not self.whole and self.agreed)
