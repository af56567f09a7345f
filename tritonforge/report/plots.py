"""The plots of a report: which figures each one shows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tritonforge.load import Point, Report
from tritonforge.load.figures.histogram import bucket_bounds
from tritonforge.report.charts.bars import Histogram, StackedBars
from tritonforge.report.charts.lines import LinePlot, Series
from tritonforge.report.charts.numbers import compact, duration
from tritonforge.report.labels import label, labels, short_labels

__all__ = [
    "breakdown",
    "latency_histogram",
    "latency_over_time",
    "percentiles",
    "percentiles_shown",
    "throughput_and_latency",
    "throughput_over_time",
]

_BINS = 48
_CURVES = 8
_NAMED = 12
_JOINED = 20
"""A line through more loads, of which many have the same throughput, is a scribble."""
_STYLES = 12


def throughput_and_latency(points: Sequence[Point], report: Report) -> LinePlot:
    """Plot each load's latency over its throughput: right is more work done, down is faster."""
    best = max(points, key=lambda point: point.throughput.value)
    protocols = list(dict.fromkeys(point.protocol for point in points))
    drawn = [
        (p, name) for p in protocols for name in (("p99", "p90", "p50") if len(protocols) == 1 else ("p99", "p50"))
    ]
    series = [
        _latency_series([point for point in points if point.protocol == protocol], name, style, points)
        for style, (protocol, name) in enumerate(drawn, start=1)
    ]
    limits = [slo for slo in report.settings.slo if slo.statistic != "mean"]
    return LinePlot(
        "main",
        "Throughput against latency",
        f"Latency percentiles over throughput for {len(points)} loads; the most is "
        f"{compact(best.throughput.value)} inferences a second at {label(best, points)}, with a p99 of "
        f"{duration(best.latency.p99_us.value)}.",
        "inferences a second",
        "latency",
        tuple(series),
        y_is_time=True,
        limit=(limits[0].limit_us, f"objective {limits[0].statistic}") if limits else None,
    )


def _latency_series(points: Sequence[Point], name: str, style: int, every: Sequence[Point]) -> Series:
    times = [getattr(point.latency, f"{name}_us").value for point in points]
    return Series(
        f"{name} {points[0].protocol}" if len(points) < len(every) else name,
        style,
        tuple((point.throughput.value, us) for point, us in zip(points, times, strict=True)),
        tuple(
            f"{label(point, every)}: {compact(point.throughput.value)}/s, {name} {duration(us)}"
            for point, us in zip(points, times, strict=True)
        ),
        tuple(short_labels(points)) if name == "p99" else (),
        joined=len(points) <= _JOINED,
    )


def percentiles(points: Sequence[Point]) -> LinePlot:
    """Plot the latency at every percentile, the tail drawn out, for at most eight of the loads."""
    chosen = _spaced(points, _CURVES)
    places = [(0.0, "0"), *((-math.log10(1 - percent / 100), f"{percent:g}") for percent in (50, 90, 99, 99.9, 99.99))]
    most = max(point.latency.count for point in chosen)
    places = [place for place in places if place[0] <= max(math.log10(max(most, 1)), 1)]
    series = []
    names = zip(chosen, short_labels(chosen), labels(chosen), strict=True)
    for style, (point, name, whole) in enumerate(names, start=1):
        count = point.latency.count
        marks = [place for place in np.arange(0, places[-1][0] + 0.01, 0.1) if 10**place <= max(count, 10)]
        percents = [100 * (1 - 10**-place) for place in marks]
        times = [point.latency.percentile_us(percent) for percent in percents]
        tips = [f"{whole}: p{percent:.5g} {duration(us)}" for percent, us in zip(percents, times, strict=True)]
        series.append(Series(name, style, tuple(zip(marks, times, strict=True)), tuple(tips)))
    return LinePlot(
        "percentiles",
        "Latency by percentile",
        f"{percentiles_shown(points)}: the latency that a share of the requests stays below; the tail is drawn out to "
        "the right.",
        "% of requests that are at least as fast",
        "latency",
        tuple(series),
        y_is_time=True,
        marks=tuple(places),
    )


def percentiles_shown(points: Sequence[Point]) -> str:
    """Say which loads the plot of percentiles has lines of."""
    chosen = {id(point) for point in _spaced(points, _CURVES)}
    left_out = [name for point, name in zip(points, short_labels(points), strict=True) if id(point) not in chosen]
    if not left_out:
        return "A line for each load"
    which = f"not of {', '.join(left_out)}" if len(left_out) <= _NAMED else "spaced evenly"
    return f"Lines of {len(chosen)} of the {len(points)} loads, {which}"


def breakdown(points: Sequence[Point]) -> StackedBars | None:
    """Plot where the mean latency goes; None where no point tells."""
    told = [point for point in points if point.breakdown]
    # A step that takes nothing anywhere, as the wait before a send in a closed loop, would only fill the legend.
    used = {step.name for point in told for step in point.breakdown if step.mean_us > 0}
    names = [name for name in dict.fromkeys(step.name for point in told for step in point.breakdown) if name in used]
    if not names:
        return None
    rows = []
    for point, name in zip(told, short_labels(told), strict=True):
        times = {step.name: step.mean_us for step in point.breakdown}
        rows.append((name, tuple(max(times.get(step, 0.0), 0.0) for step in names)))
    return StackedBars(
        "breakdown",
        "Where the time goes",
        "The mean latency of each load, cut into its steps.",
        "mean latency",
        tuple((name, index % _STYLES + 1) for index, name in enumerate(names)),
        tuple(rows),
    )


def throughput_over_time(point: Point, key: str, name: str) -> LinePlot:
    """Plot each window's throughput; the name is the point's."""
    return LinePlot(
        f"throughput-{key}",
        f"Throughput over time, {name}",
        f"{len(point.windows)} windows; those that the figures are made of are the measured ones.",
        "seconds",
        "inferences a second",
        (
            Series(
                "",
                3,
                tuple((window.start_s + window.duration_s, window.throughput) for window in point.windows),
                tuple(
                    f"{window.start_s:.1f} – {window.start_s + window.duration_s:.1f} s: "
                    f"{compact(window.throughput)}/s{'' if window.measured else ', not measured: before stability'}"
                    for window in point.windows
                ),
            ),
        ),
    )


def latency_over_time(point: Point, key: str, name: str) -> LinePlot:
    """Plot the p50 and p99 of each window; the name is the point's."""
    series = []
    for style, figure in ((1, "p99"), (3, "p50")):
        times = [getattr(window, f"{figure}_us") for window in point.windows]
        series.append(
            Series(
                figure,
                style,
                tuple((w.start_s + w.duration_s, us) for w, us in zip(point.windows, times, strict=True)),
                tuple(
                    f"{w.start_s:.1f} – {w.start_s + w.duration_s:.1f} s: {figure} {duration(us)}"
                    for w, us in zip(point.windows, times, strict=True)
                ),
            )
        )
    return LinePlot(
        f"latency-{key}",
        f"Latency over time, {name}",
        "The median and the 99th percentile of each window.",
        "seconds",
        "latency",
        tuple(series),
        y_is_time=True,
    )


def latency_histogram(point: Point, key: str, name: str) -> Histogram | None:
    """Count requests by latency, in bars of equal ratio; None where there are none. The name is the point's."""
    counts = point.latency.histogram.counts
    if not counts:
        return None
    middles = np.array([sum(bucket_bounds(bucket)) / 2000 for bucket in counts])
    low, high = max(middles.min() * 0.98, 1e-3), middles.max() * 1.02
    edges = np.geomspace(low, high, min(_BINS, max(len(counts), 4)) + 1)
    binned, _ = np.histogram(middles, edges, weights=np.array(list(counts.values())))
    latency = point.latency
    lines = [(latency.p50_us.value, "p50"), (latency.p99_us.value, "p99"), (latency.p999_us.value, "p99.9")]
    return Histogram(
        f"histogram-{key}",
        f"Latency histogram, {name}",
        f"{latency.count:,} requests; p50 {duration(latency.p50_us.value)}, p99 {duration(latency.p99_us.value)}.",
        tuple(edges.tolist()),
        tuple(round(count) for count in binned),
        tuple(lines),
    )


def _spaced(points: Sequence[Point], most: int) -> list[Point]:
    if len(points) <= most:
        return list(points)
    return [points[round(index * (len(points) - 1) / (most - 1))] for index in range(most)]
