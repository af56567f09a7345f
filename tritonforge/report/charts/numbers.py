"""Figures as people read them."""

from __future__ import annotations

import math
from datetime import datetime, timezone

__all__ = ["compact", "duration", "duration_unit", "moment", "percent", "plain"]

_UNITS = (("s", 1e6), ("ms", 1e3), ("µs", 1.0))


def compact(figure: float) -> str:
    """Write a count in three digits: 950, 12.3k, 1.2M."""
    for suffix, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(figure) >= size * 0.9995:
            return plain(figure / size) + suffix
    return plain(figure)


def plain(figure: float) -> str:
    """Write three significant digits without an exponent: 0.0312, 4.5, 120."""
    if not math.isfinite(figure):
        return "–"
    if figure == 0:
        return "0"
    digits = max(2 - math.floor(math.log10(abs(figure))), 0)
    written = f"{figure:.{min(digits, 9)}f}"
    return written.rstrip("0").rstrip(".") if "." in written else written


def duration_unit(largest_us: float) -> tuple[str, float]:
    """Choose the unit for figures up to one, and its microseconds."""
    return next(((unit, size) for unit, size in _UNITS if largest_us >= size), _UNITS[-1])


def duration(us: float) -> str:
    """Write a time in its own unit: 380 µs, 4.52 ms, 1.2 s."""
    if not math.isfinite(us):
        return "–"
    unit, size = duration_unit(abs(us) * 1.0005)
    return f"{plain(us / size)} {unit}"


def percent(part: float, *, digits: int = 1) -> str:
    """Write a part with its sign: 0.052 is +5.2 %."""
    return f"{part * 100:+.{digits}f} %" if math.isfinite(part) else "–"


def moment(stamp: str) -> str:
    """Write a time of ISO 8601: 1 December 2026, 16:45 UTC; any other words as they are."""
    try:
        at = datetime.fromisoformat(stamp.replace("Z", "+00:00")).astimezone(timezone.utc)
    except ValueError:
        return stamp
    return f"{at.day} {at:%B %Y, %H:%M} UTC"
