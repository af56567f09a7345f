"""Sweeps: a point for each load, in order."""

from __future__ import annotations

from collections.abc import Sequence

from tritonforge.load.exports.profile_export import ProfileExport
from tritonforge.load.observed.environment import describe
from tritonforge.load.results import Point, Report
from tritonforge.load.session import Progress, Session
from tritonforge.load.settings import Load, Settings
from tritonforge.load.stopped import Kept, keeping

__all__ = ["find_knee", "sweep"]


def sweep(
    settings: Settings,
    *,
    on_window: Progress | None = None,
    on_point: Progress | None = None,
    export: ProfileExport | None = None,
) -> Report:
    """Measure each of the settings' loads. Both functions are told the figures: after a window, and of whole points.

    Every request's times go into `export`, if there is one.

    Raise InvalidLoad where the settings can't be carried out, LoadFailed where the server doesn't answer; after
    something was measured, also at the session's end, SweepStopped or SweepInterrupted, which have the report of that.
    """
    kept = Kept(on_window, on_point)

    def report() -> Report:
        points = kept.so_far
        return Report(settings, environment, settings.seed, points, knee=find_knee(points), complete=kept.complete)

    with keeping(lambda _: report() if kept.so_far else None, kept):
        with Session(settings, export=export) as session:
            environment = describe(session.server)
            for load in settings.loads:
                kept.at = load
                kept.point(session.measure(load, on_window=kept.window))
            kept.finish()
        return report()


def find_knee(points: Sequence[Point]) -> Load | None:
    """Find the load of the greatest power, throughput by mean latency (Kleinrock, 1979); None below three points."""
    if len(points) < 3:
        return None
    return max(points, key=lambda point: point.throughput.value / max(point.latency.mean_us.value, 1e-9)).load
