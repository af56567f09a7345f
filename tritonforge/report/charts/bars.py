"""Bars of several parts, one below another; and the bars of a histogram."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tritonforge.report.charts.frame import Frame, bottom_axis, left_axis, marked
from tritonforge.report.charts.numbers import compact, duration, duration_unit, plain
from tritonforge.report.charts.scales import linear_scale, log_scale
from tritonforge.report.charts.svg import picture, tag, text

__all__ = ["Histogram", "StackedBars", "draw_histogram", "draw_stacked"]

_BAR, _MOST = 22.0, 64.0
_GAP = 12.0


@dataclass(frozen=True, slots=True)
class StackedBars:
    """Times in microseconds, added up along each bar: rows of (name, parts), the parts in the order of `parts`."""

    key: str
    title: str
    summary: str
    x_label: str
    parts: tuple[tuple[str, int], ...]
    """Each part's name and its style's number."""
    rows: tuple[tuple[str, tuple[float, ...]], ...]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts between edges in microseconds: one edge more than counts; `lines` are marked times with their names."""

    key: str
    title: str
    summary: str
    edges_us: tuple[float, ...]
    counts: tuple[int, ...]
    lines: tuple[tuple[float, str], ...] = ()


def draw_stacked(plot: StackedBars, frame: Frame, *, least_height: float = 0) -> str:
    """Draw horizontal bars, with a legend above them that wraps; few are thicker where there is a least height."""
    shape = replace(frame, left=max(7.0 * max((len(n) for n, _ in plot.rows), default=0) + 14, 34), right=58)
    legend, legend_height = _legend(plot.parts, shape)
    top = legend_height + 12
    pitch = max(_BAR + _GAP, (least_height - top - shape.bottom) / max(len(plot.rows), 1))
    bar = min(pitch * _BAR / (_BAR + _GAP), _MOST)
    height = top + len(plot.rows) * pitch + shape.bottom
    shape = replace(shape, height=height, top=top)
    left, _, right, bottom = shape.inner
    unit, size = duration_unit(max((sum(parts) for _, parts in plot.rows), default=1.0))
    scale = linear_scale([sum(parts) / size for _, parts in plot.rows], left, right, ticks=5)
    body = legend
    for tick in scale.ticks:
        body += tag("line", x1=scale(tick), y1=top - 4, x2=scale(tick), y2=bottom, class_="grid")
    for index, (name, parts) in enumerate(plot.rows):
        y = top + (index + 0.5) * pitch
        body += text(name, left - 8, y + 4, anchor="end", class_="tick strong")
        body += _row(plot, name, parts, (y, bar), [scale(v / size) for v in _sums(parts)])
    marks = [(scale(tick), plain(tick)) for tick in scale.ticks]
    body += bottom_axis(shape, marks, f"{plot.x_label}, {unit}")
    return picture(
        body,
        width=shape.width,
        height=height,
        title=plot.title,
        summary=plot.summary,
        key=plot.key,
        variant=frame.variant,
    )


def _row(plot: StackedBars, name: str, parts: Sequence[float], place: tuple[float, float], edges: list[float]) -> str:
    """Draw one bar, whose middle and thickness are its place."""
    (y, thickness), drawn = place, ""
    total = sum(parts)
    for (part, style), us, x, end in zip(plot.parts, parts, edges, edges[1:], strict=False):
        if us > 0:
            size = {"y": y - thickness / 2, "width": max(end - x, 0.5), "height": thickness}
            bar = tag("rect", x=x, **size, class_=f"bar f{style}")
            drawn += marked(bar, f"{name} · {part}: {duration(us)} ({us / total:.0%} of {duration(total)})")
    return drawn + text(duration(total), edges[-1] + 6, y + 4, class_="tick")


def _sums(parts: Sequence[float]) -> list[float]:
    sums = [0.0]
    for part in parts:
        sums.append(sums[-1] + part)
    return sums


def _legend(parts: Sequence[tuple[str, int]], frame: Frame) -> tuple[str, float]:
    drawn, x, y = "", 4.0, 14.0
    for name, style in parts:
        width = 7.2 * len(name) + 32
        if x + width > frame.width and x > 4:
            x, y = 4.0, y + 20
        drawn += tag("rect", x=x, y=y - 10, width=12, height=12, rx=2, class_=f"bar f{style}")
        drawn += text(name, x + 18, y, class_="tick strong")
        x += width
    return drawn, y + 6


def draw_histogram(plot: Histogram, frame: Frame) -> str:
    """Draw counts over a logarithmic axis of time, and marked times as lines with names, as far as these have room."""
    shape = replace(frame, right=16, top=frame.top + 16)
    left, top, right, bottom = shape.inner
    edges = plot.edges_us
    unit, size = duration_unit(edges[-1])
    x_scale = log_scale([edge / size for edge in edges if edge > 0], left, right)
    y_scale = linear_scale(plot.counts, bottom, top)
    body = left_axis(shape, y_scale, "requests", compact)
    total = sum(plot.counts) or 1
    for low, high, count in zip(edges, edges[1:], plot.counts, strict=False):
        if count:
            x, end = x_scale(low / size), x_scale(high / size)
            y = y_scale(count)
            bar = tag("rect", x=x, y=y, width=max(end - x - 0.5, 0.6), height=bottom - y, class_="bar f3")
            body += marked(bar, f"{duration(low)} – {duration(high)}: {count:,} requests ({count / total:.2%})")
    body += bottom_axis(shape, [(x_scale(t), plain(t)) for t in x_scale.ticks], f"latency, {unit} (log scale)")
    free = float("-inf")
    for time_us, name in plot.lines:
        x = x_scale(time_us / size)
        half = 3.6 * len(name)
        middle = min(max(x, left + half), right - half)
        if middle - half > free:  # a line without its name would tell nothing
            body += tag("line", x1=x, y1=top - 8, x2=x, y2=bottom, class_="limit")
            body += text(name, middle, top - 12, anchor="middle", class_="limit-name")
            free = middle + half + 4
    return picture(
        body,
        width=shape.width,
        height=shape.height,
        title=plot.title,
        summary=plot.summary,
        key=plot.key,
        variant=frame.variant,
    )
