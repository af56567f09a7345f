"""Whether an open loop sent what was due when it was due: what is said of it where not."""

from __future__ import annotations

from collections.abc import Sequence

from tritonforge.load.pacing.schedule import due_between, schedule_of
from tritonforge.load.results import Latency, Point
from tritonforge.load.settings import Load, Settings
from tritonforge.load.workers.job import Tally

__all__ = ["due_rate", "lateness", "shortfall"]

_SHARE = 0.1
_LEAST_US = 100.0
_HUNDRED = 100
_ENOUGH = 0.98
_BUSY = 0.5
_COUNTED = 10_000_000
"""So many arrivals are counted; of more, chance is no part that matters."""


def due_rate(load: Load, settings: Settings, windows: Sequence[Tally], measured: int) -> float:
    """Give how many requests a second a rate had due in the measured windows; 0 of other loads.

    Arrivals may be drawn. A number of requests that begin with the windows is all that is due, and the time may go on
    until the last has ended. After a warm-up, others are due until so many have ended.
    """
    lasted = sum(tally.duration_ns for tally in windows[-measured:])
    if load.kind != "rate" or not lasted:
        return 0.0
    start = round((settings.warmup_s + settings.ramp_s) * 1e9) + sum(tally.duration_ns for tally in windows[:-measured])
    rate = load.value
    if settings.arrivals != "constant" and rate * (start + lasted) / 1e9 <= _COUNTED:
        rate = due_between(schedule_of(load, settings), start, start + lasted) / lasted * 1e9
    return min(rate, settings.requests / lasted * 1e9) if settings.requests and not _leads(settings) else rate


def _leads(settings: Settings) -> bool:
    return bool(settings.warmup_s or settings.ramp_s)


def shortfall(point: Point, settings: Settings) -> int:
    """Give how many requests a rate had due, where less than 98 % of them succeeded; else 0.

    Where the windows begin with the load, as many more may be under way at their end as are on average, by Little's
    law: a server that keeps up has no more. Of a number of requests, none is there.
    """
    measured = [window for window in point.windows if window.measured]
    due = point.generator.due_rate * sum(window.duration_s for window in measured)
    leads = _leads(settings) or len(measured) < len(point.windows)
    usual = 0.0 if leads else point.generator.due_rate * point.latency.mean_us.value / 1e6
    under_way = 0.0 if settings.requests and not _leads(settings) else max(usual, 1.0)
    if point.requests + under_way >= _ENOUGH * due:
        return 0
    return round(due)


def lateness(late: Latency, latency: Latency, windows: Sequence[Tally]) -> str:
    """Say how late requests start, where that is a tenth of the latency, and why, as far as is known; else nothing."""
    if late.count < _HUNDRED:  # of which none is one in a hundred
        words = f"of {late.count} request{'s'[: late.count != 1]}, the latest starts {{}} late"
        tail = (words, late.max_us.value, "longest", latency.max_us.value)
    else:
        tail = ("1 % of requests start {} late or more", late.p99_us.value, "p99", latency.p99_us.value)
    half = ("half of the requests start {} late or more", late.p50_us.value, "median", latency.p50_us.value)
    words, late_us, whole, whole_us = max(tail, half, key=lambda way: way[1] / max(way[3], 1.0))
    if late_us < max(_SHARE * whole_us, _LEAST_US):
        return ""
    share = late_us / max(whole_us, 1.0)
    return f"{words.format(_time(late_us))}, {share:.0%} of the {whole} latency{_cause(windows, late_us)}"


def _cause(windows: Sequence[Tally], late_us: float) -> str:
    duration, cpu, waited, checking = (
        sum(getattr(tally, name) for tally in windows) / 1e3
        for name in ("duration_ns", "cpu_ns", "waited_ns", "checking_ns")
    )
    if max(waited, checking) >= late_us and waited >= checking:
        return f"; the generator waited {_time(waited)} for a processor in that time"
    if checking >= late_us:
        return f"; the generator checked answers for {_time(checking)} in that time"
    return f"; the generator's process was busy for {cpu / duration:.0%} of the time" if cpu > _BUSY * duration else ""


def _time(us: float) -> str:
    size, unit = next((pair for pair in ((1e6, "s"), (1e3, "ms")) if us >= pair[0]), (1.0, "µs"))
    return f"{us / size:.3g} {unit}"
