"""Sweeps: a point for each load, in order."""

from __future__ import annotations

from collections.abc import Sequence

from tritonforge.load.environment import describe
from tritonforge.load.results import Point, Report
from tritonforge.load.session import Progress, Session
from tritonforge.load.settings import Load, Settings

__all__ = ["find_knee", "sweep"]


def sweep(settings: Settings, *, on_window: Progress | None = None, on_point: Progress | None = None) -> Report:
    """Measure each of the settings' loads. Both functions are told the figures: after a window, and of whole points.

    Raise InvalidLoad where the settings can't be carried out, LoadFailed where the server doesn't answer.
    """
    points: list[Point] = []
    with Session(settings) as session:
        environment = describe(session.server)
        for load in settings.loads:
            points.append(session.measure(load, on_window=on_window))
            if on_point is not None:
                on_point(points[-1])
    return Report(settings, environment, settings.seed, tuple(points), knee=find_knee(points))


def find_knee(points: Sequence[Point]) -> Load | None:
    """Find the load of the greatest power, throughput by mean latency (Kleinrock, 1979); None below three points."""
    if len(points) < 3:
        return None
    return max(points, key=lambda point: point.throughput.value / max(point.latency.mean_us.value, 1e-9)).load
