"""The greatest load that meets the objectives: doubled until one doesn't, then bisected."""

from __future__ import annotations

from collections.abc import Callable

from tritonforge.load.errors import InvalidLoad
from tritonforge.load.exports.profile_export import ProfileExport
from tritonforge.load.observed.environment import describe
from tritonforge.load.results import Report
from tritonforge.load.session import Progress, Session
from tritonforge.load.settings import Load, Settings
from tritonforge.load.stopped import Kept, keeping
from tritonforge.load.sweep import find_knee

__all__ = ["bisect", "find_max"]

_LIMIT = {"concurrency": 4096.0, "rate": 1e6}


def find_max(
    settings: Settings,
    *,
    precision: float = 0.05,
    on_window: Progress | None = None,
    on_point: Progress | None = None,
    export: ProfileExport | None = None,
) -> Report:
    """Search between the least and the greatest of the settings' loads (one alone: from it upwards).

    The answer is in `best`, within `precision` of the limit (a concurrency: or to the next whole number), and `at_end`
    tells whether it is the greatest of the loads. A rate is met only where at least 98 % of what was due succeeded.
    Raise InvalidLoad without objectives, and what `sweep` raises.
    """
    if not settings.slo:
        raise InvalidLoad("a search needs an objective: p99=10ms")
    kinds = {load.kind for load in settings.loads}
    if len(kinds) != 1 or not kinds <= set(_LIMIT):
        raise InvalidLoad(f"a search is over concurrency or rate, one of them; found {', '.join(sorted(kinds))}")
    kind = kinds.pop()
    values = [load.value for load in settings.loads]
    limit = max(values) if len(values) > 1 else _LIMIT[kind]
    if kind == "concurrency" and settings.requests is not None and settings.requests < limit:
        reason = f"requests is {settings.requests}, and the search goes up to concurrency {limit:g}"
        raise InvalidLoad(f"{reason}: give {limit:g} or more, or a duration, or a range that ends before")
    kept, reached = Kept(on_window, on_point), 0.0

    def report() -> Report:
        points = sorted(kept.so_far, key=lambda point: point.load.value)
        best, knee = Load(kind, reached) if reached else None, find_knee(points)
        ends = reached == limit
        return Report(settings, environment, settings.seed, tuple(points), best, knee, kept.complete, at_end=ends)

    with keeping(lambda _: report() if kept.so_far else None, kept):
        with Session(settings, export=export) as session:
            environment = describe(session.server)

            def met(value: float) -> bool:
                nonlocal reached
                kept.at = Load(kind, value)
                point = session.measure(kept.at, on_window=kept.window)
                if good := bool(point.slo_met) and not point.short_of:
                    reached = max(reached, value)
                kept.point(point)
                return good

            bisect(met, min(values), limit, precision=precision, whole=kind == "concurrency")
            kept.finish()
        return report()


def bisect(
    met: Callable[[float], bool], low: float, high: float, *, precision: float, whole: bool = False
) -> float | None:
    """Find the greatest value between two that is met, where all below one are; None where `low` isn't.

    Values double from `low` until one isn't met, so that a high limit costs little; then the rest is halved.
    """
    if not met(low):
        return None
    good, bad = low, high
    while good < high:
        following = min(good * 2, high)
        if not met(following):
            bad = following
            break
        good = following
    else:
        return good
    while bad - good > max(precision * good, 1.0 if whole else 0.0):
        middle = (good + bad) / 2
        middle = float(int(middle)) if whole else middle
        if met(middle):
            good = middle
        else:
            bad = middle
    return good
