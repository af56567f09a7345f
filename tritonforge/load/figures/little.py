"""What was under way, by Little's law, and what ended, held against what the load says: whatever else is in them."""

from __future__ import annotations

from tritonforge.load.results import Point

__all__ = ["few_under_way", "left_over"]

_FEW = 0.9
_MANY = 1.1
_MORE = 1.05
_FEW_ENDED = 2


def few_under_way(point: Point) -> str:
    """Say that fewer requests were under way than the concurrency, where nothing explains it; else give an empty text.

    Failed ones do: their time is in no figure. So do the windows' edges, where the time of a request counts on one side
    alone: for each of those under way, the longest latency at most. And a request whose answer is being checked isn't
    under way, one for each process of the generator.
    """
    if point.load.kind != "concurrency" or not point.requests or point.failed:
        return ""
    measured_s = _measured_s(point)
    edges = point.latency.max_us.value / 1e6 / measured_s
    checked = point.generator.checking_share * point.generator.processes
    if point.in_flight >= (_FEW - edges) * point.load.value - checked:
        return ""
    return (
        f"only {point.in_flight:.3g} of {point.load.value:g} requests were under way on average, by Little's law: the "
        "others had no answer in these windows, or no connection"
    )


def left_over(point: Point) -> str:
    """Say that the figures are in part of what began before the windows, as in a warm-up that stalled; else nothing.

    In a closed loop more than its requests can't be under way; at a rate no more can end than are due.
    """
    if point.load.kind == "concurrency" and point.in_flight > _MANY * point.load.value:
        return (
            f"{point.in_flight:.3g} requests were under way on average, by Little's law, and {point.load.value:g} can "
            "be: some began long before these windows, and their whole latency counts; a longer warm-up, or longer "
            "windows, have less of them"
        )
    due = point.generator.due_rate * _measured_s(point)
    ended = point.requests + point.failed
    if due and ended > max(_MORE * due, due + _FEW_ENDED):
        return (
            f"{ended:,} requests ended, and {due:,.0f} were due in these windows: the others had waited since before, "
            "so that throughput and latency are in part theirs; a longer warm-up has less of them"
        )
    return ""


def _measured_s(point: Point) -> float:
    return sum(window.duration_s for window in point.windows if window.measured)
