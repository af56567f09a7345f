"""What plots have in common: their size, axes, grid, and names at the ends of lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tritonforge.report.charts.scales import Scale
from tritonforge.report.charts.svg import tag, text

__all__ = ["NARROW", "WIDE", "Frame", "bottom_axis", "left_axis", "marked", "name_width", "names_at_ends", "spread"]


@dataclass(frozen=True, slots=True)
class Frame:
    """A drawing's size and the margins around its plot, in units of the view box: one is about a pixel."""

    variant: str
    width: float
    height: float
    left: float = 58
    right: float = 62
    top: float = 30
    bottom: float = 46

    @property
    def inner(self) -> tuple[float, float, float, float]:
        """The plot itself: left, top, right, bottom."""
        return self.left, self.top, self.width - self.right, self.height - self.bottom


_NAME_GAP = 8.0
WIDE = Frame("wide", 680, 360)
NARROW = Frame("narrow", 360, 300, left=50, right=50)


def left_axis(frame: Frame, scale: Scale, label: str, write: Callable[[float], str]) -> str:
    """Draw horizontal grid lines with their figures, and the axis' name above them."""
    left, _, right, _ = frame.inner
    parts = [text(label, 4, 14, class_="axis-name")]
    for tick in scale.ticks:
        y = scale(tick)
        parts.append(tag("line", x1=left, y1=y, x2=right, y2=y, class_="grid"))
        parts.append(text(write(tick), left - 8, y + 4, anchor="end", class_="tick"))
    return "".join(parts)


def bottom_axis(frame: Frame, marks: Sequence[tuple[float, str]], label: str) -> str:
    """Draw the base line, marks with their words (as many as have room), and the axis' name below them."""
    left, _, right, bottom = frame.inner
    parts = [tag("line", x1=left, y1=bottom, x2=right, y2=bottom, class_="axis")]
    free = float("-inf")
    for x, words in marks:
        parts.append(tag("line", x1=x, y1=bottom, x2=x, y2=bottom + 4, class_="axis"))
        half = 4 * len(words)
        if x - half > free:
            parts.append(text(words, x, bottom + 18, anchor="middle", class_="tick"))
            free = x + half
    parts.append(text(label, (left + right) / 2, bottom + 38, anchor="middle", class_="axis-name"))
    return "".join(parts)


def marked(shape: str, tip: str) -> str:
    """Give a shape its tooltip, reachable by keyboard."""
    return tag("g", tag("title", text_only(tip)), shape, class_="mark", tabindex=0)


def text_only(words: str) -> str:
    """Escape words that stand between tags."""
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def name_width(names: Sequence[str]) -> float:
    """Give the margin that names at the ends of lines need."""
    return _NAME_GAP + 7.4 * max(map(len, names), default=0) + 2


def names_at_ends(frame: Frame, ends: Sequence[tuple[float, str, str]]) -> str:
    """Write names to the right of the plot, each at its line's height or the nearest free one: (y, name, class)."""
    _, top, right, bottom = frame.inner
    places = spread([y for y, _, _ in ends], 15, top, bottom)
    return "".join(
        text(name, right + _NAME_GAP, y + 4, class_=f"name {style}")
        for y, (_, name, style) in zip(places, ends, strict=True)
    )


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move places apart to at least a gap, in their order, and keep them within bounds where they fit."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    moved = list(places)
    floor = low
    for index in order:
        moved[index] = floor = max(moved[index], floor)
        floor += gap
    ceiling = high
    for index in reversed(order):
        moved[index] = ceiling = min(moved[index], ceiling)
        ceiling -= gap
    return moved
