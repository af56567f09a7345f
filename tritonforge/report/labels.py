"""What the points of a report are called."""

from __future__ import annotations

from collections.abc import Sequence

from tritonforge.load import Point
from tritonforge.report.charts.numbers import compact

__all__ = ["label", "labels", "short_labels"]


def label(point: Point, points: Sequence[Point]) -> str:
    """Name a point of several by its load, and by its protocol where these differ: `concurrency 16, grpc`."""
    several = len({each.protocol for each in points}) > 1
    return f"{point.load}, {point.protocol}" if several else str(point.load)


def labels(points: Sequence[Point]) -> list[str]:
    """Name each point by its load, and by its protocol where there are several."""
    return [label(point, points) for point in points]


def short_labels(points: Sequence[Point]) -> list[str]:
    """Name each point in few letters: 16 for a concurrency, 500/s for a rate; `16 grpc` where there are protocols."""
    several = len({point.protocol for point in points}) > 1
    names = [f"{p.load.value:g}" if p.load.kind == "concurrency" else f"{compact(p.load.value)}/s" for p in points]
    return [f"{name} {point.protocol}" if several else name for name, point in zip(names, points, strict=True)]
