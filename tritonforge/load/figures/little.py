"""Little's law held against what is known: a closed loop has as many requests under way as its concurrency."""

from __future__ import annotations

from tritonforge.load.results import Point

__all__ = ["few_under_way"]

_FEW = 0.9


def few_under_way(point: Point) -> str:
    """Say that fewer requests were under way than the concurrency, where nothing explains it; else give an empty text.

    Failed ones do: their time is in no figure. So do the windows' edges, where the time of a request counts on one side
    alone: for each of those under way, the longest latency at most. And a request whose answer is being checked isn't
    under way, one for each process of the generator.
    """
    if point.load.kind != "concurrency" or not point.requests or point.failed:
        return ""
    measured_s = sum(window.duration_s for window in point.windows if window.measured)
    edges = point.latency.max_us.value / 1e6 / measured_s
    checked = point.generator.checking_share * point.generator.processes
    if point.in_flight >= (_FEW - edges) * point.load.value - checked:
        return ""
    return (
        f"only {point.in_flight:.3g} of {point.load.value:g} requests were under way on average, by Little's law: the "
        "others had no answer in these windows, or no connection"
    )
