"""Lines through points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tritonforge.report.charts.frame import Frame, bottom_axis, left_axis, marked, name_width, names_at_ends
from tritonforge.report.charts.numbers import compact, duration_unit, plain
from tritonforge.report.charts.scales import Scale, linear_scale, log_scale
from tritonforge.report.charts.svg import path, picture, tag, text

__all__ = ["LinePlot", "Series", "draw_lines"]

_LOGARITHMIC_FROM = 12
"""The ratio of the largest to the smallest figure from which an axis of times is logarithmic."""
_DOTTED_UP_TO = 20
"""A line of more points shows each only under the pointer."""


@dataclass(frozen=True, slots=True)
class Series:
    """A line: its name, its style's number (a colour), points, a tooltip for each, and words above some of them.

    Without `joined` it is its points alone.
    """

    name: str
    style: int
    points: tuple[tuple[float, float], ...]
    tips: tuple[str, ...]
    notes: tuple[str, ...] = ()
    joined: bool = True


@dataclass(frozen=True, slots=True)
class LinePlot:
    """Lines over one x axis. `y_is_time` has y in microseconds; `marks` gives words for x, where it isn't a number."""

    key: str
    title: str
    summary: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    y_is_time: bool = False
    marks: tuple[tuple[float, str], ...] = ()
    limit: tuple[float, str] | None = None
    """A level to stay below, with its name."""


def draw_lines(plot: LinePlot, frame: Frame) -> str:
    """Draw a plot for one width; the margin on the right has room for the lines' names."""
    frame = replace(frame, right=max(frame.right, name_width([series.name for series in plot.series])))
    left, top, right, bottom = frame.inner
    heights = [y for series in plot.series for _, y in series.points] + ([plot.limit[0]] if plot.limit else [])
    positive = [y for y in heights if y > 0]
    steep = plot.y_is_time and positive and max(positive) > _LOGARITHMIC_FROM * min(positive)
    unit, size = duration_unit(max(heights, default=1.0)) if plot.y_is_time else ("", 1.0)
    scaled = [y / size for y in heights]
    y_scale = log_scale(scaled, bottom, top + 6) if steep else linear_scale(scaled, bottom, top + 6)
    x_scale, marks = _x_axis(plot, left, right, narrow=frame.variant == "narrow")
    label = f"{plot.y_label}, {unit}" if unit else plot.y_label
    body = left_axis(frame, y_scale, label + (" (log scale)" if steep else ""), plain if unit else compact)
    body += bottom_axis(frame, marks, plot.x_label)
    body += _limit(plot, y_scale, size, left, right)
    placed = [[(x_scale(x), y_scale(y / size)) for x, y in series.points] for series in plot.series]
    for series, places in zip(plot.series, placed, strict=True):
        body += _line(series, places)
    body += _notes(plot.series, placed, frame)
    body += names_at_ends(
        frame,
        [(places[-1][1], s.name, f"s{s.style}") for s, places in zip(plot.series, placed, strict=True) if places],
    )
    return picture(
        body,
        width=frame.width,
        height=frame.height,
        title=plot.title,
        summary=plot.summary,
        key=plot.key,
        variant=frame.variant,
    )


def _x_axis(plot: LinePlot, left: float, right: float, *, narrow: bool) -> tuple[Scale, list[tuple[float, str]]]:
    start, end = left + 6, right - 8
    if plot.marks:
        places = [place for place, _ in plot.marks]
        low, high = min(places), max(places)
        scale = Scale(low, high if high > low else low + 1, start, end, ())
        return scale, [(scale(place), words) for place, words in plot.marks]
    scale = linear_scale([x for s in plot.series for x, _ in s.points], start, end, ticks=4 if narrow else 7)
    return scale, [(scale(tick), compact(tick)) for tick in scale.ticks]


def _line(series: Series, places: list[tuple[float, float]]) -> str:
    drawn = path(places, class_=f"line s{series.style}") if len(places) > 1 and series.joined else ""
    style = f"dot s{series.style}{' faint' if len(places) > _DOTTED_UP_TO and series.joined else ''}"
    radius = 4.5 if series.joined else 3.0
    for (x, y), tip in zip(places, series.tips, strict=True):
        drawn += marked(
            tag("circle", cx=x, cy=y, r=radius, class_=style) + tag("circle", cx=x, cy=y, r=10, class_="reach"),
            tip,
        )
    return drawn


def _limit(plot: LinePlot, scale: Scale, size: float, left: float, right: float) -> str:
    if plot.limit is None:
        return ""
    y = scale(plot.limit[0] / size)
    return tag("line", x1=left, y1=y, x2=right, y2=y, class_="limit") + text(
        plot.limit[1], left + 6, y - 6, class_="limit-name"
    )


def _notes(all_series: Sequence[Series], placed: list[list[tuple[float, float]]], frame: Frame) -> str:
    """Write words above points, but none over another."""
    taken: list[tuple[float, float, float, float]] = []
    drawn = ""
    for series, places in zip(all_series, placed, strict=True):
        for (x, y), words in zip(places, series.notes, strict=False):
            half = 3.6 * len(words) + 2
            middle = min(max(x, frame.left + half), frame.width - frame.right - half)
            box = (middle - half, y - 24, middle + half, y - 9)
            if not words or any(_overlap(box, other) for other in taken):
                continue
            taken.append(box)
            drawn += text(words, middle, y - 11, anchor="middle", class_="note")
    return drawn


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
