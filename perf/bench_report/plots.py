"""The report's plots, as SVG with colours of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench_report.peer_figures import PeerPoint, of_task
from bench_report.verdicts import LOADED
from tritonforge.report.charts.bars import StackedBars, draw_stacked
from tritonforge.report.charts.frame import WIDE
from tritonforge.report.charts.lines import LinePlot, Series, draw_lines
from tritonforge.report.picture import standalone_svg

__all__ = ["draw_plots"]

NAMED = replace(WIDE, width=800, height=420, right=170)
"""Room for the servers' names at the ends of their lines."""


def draw_plots(points: Sequence[PeerPoint]) -> dict[str, str]:
    """Draw two plots of each model that was measured at the highest load, by the names of their files."""
    drawn = {}
    for task in dict.fromkeys(point.task for point in points):
        if of_task(points, task, LOADED):
            drawn[task] = standalone_svg(draw_lines(_latency(points, task), NAMED))
            drawn[f"{task}_cpu"] = standalone_svg(draw_stacked(_cpu(points, task), WIDE))
    return drawn


def _latency(points: Sequence[PeerPoint], task: str) -> LinePlot:
    here = [point for point in points if point.task == task and point.body == "JSON"]
    series = []
    for style, key in enumerate(dict.fromkeys(point.key for point in here), start=1):
        own = [point for point in here if point.key == key]
        places = tuple((point.rate, point.p99_us) for point in own)
        tips = tuple(f"concurrency {point.concurrency}" for point in own)
        series.append(Series(own[0].name, style, places, tips, tuple(str(point.concurrency) for point in own)))
    title = "p99 over throughput, by concurrency"
    return LinePlot(task, title, "A line for each server.", "requests a second", "p99", tuple(series), y_is_time=True)


def _cpu(points: Sequence[PeerPoint], task: str) -> StackedBars:
    known = [point for point in of_task(points, task, LOADED) if point.server_cpu_us]
    rows = tuple(
        (point.name, (point.server_cpu_us, point.generator_cpu_us))
        for point in sorted(known, key=lambda point: point.server_cpu_us)
    )
    return StackedBars(
        f"{task}-cpu",
        f"CPU by request at concurrency {LOADED}",
        "A bar for each server: its own CPU time, and the load generator's.",
        "CPU time by request",
        (("server", 1), ("load generator", 3)),
        rows,
    )
