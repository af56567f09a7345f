"""From figures to places on a plot, and the round numbers at its axes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Scale", "linear_scale", "log_scale"]


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps figures from `low` to `high` onto `start` to `end`; `ticks` are round figures in between."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def __call__(self, figure: float) -> float:
        """Give a figure's place; one beyond an end is put there."""
        low, high, here = self.low, self.high, min(max(figure, self.low), self.high)
        if self.logarithmic:
            low, high, here = math.log10(low), math.log10(high), math.log10(here)
        return self.start + (here - low) / (high - low) * (self.end - self.start)


def linear_scale(figures: Iterable[float], start: float, end: float, *, ticks: int = 5) -> Scale:
    """Run from 0 to a round figure at or above the largest."""
    high = max((figure for figure in figures if math.isfinite(figure)), default=0.0) or 1.0
    step = _round_step(high / max(ticks, 1))
    count = math.ceil(high / step - 1e-9)
    return Scale(0.0, count * step, start, end, tuple(step * index for index in range(count + 1)))


def log_scale(figures: Iterable[float], start: float, end: float) -> Scale:
    """Run over the 1, 2, 5 steps of decades that hold all positive figures."""
    positive = [figure for figure in figures if math.isfinite(figure) and figure > 0] or [1.0]
    first, last = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
    marks = [digit * 10.0**power for power in range(first, last + 1) for digit in (1, 2, 5)]
    below = [mark for mark in marks if mark <= min(positive) * 1.001]
    above = [mark for mark in marks if mark >= max(positive) * 0.999]
    low, high = (below or marks)[-1], above[0]
    if low >= high:
        low, high = low / 2, high * 2
    ticks = [mark for mark in marks if low * 0.999 <= mark <= high * 1.001]
    if len(ticks) > 8:
        ticks = [mark for mark in ticks if math.isclose(math.log10(mark), round(math.log10(mark)), abs_tol=1e-9)]
    return Scale(low, high, start, end, tuple(ticks), logarithmic=True)


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(digit * power for digit in (1, 2, 2.5, 5, 10) if digit * power >= rough * 0.999)
