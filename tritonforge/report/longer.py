"""How much longer a measurement would have to be for its verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tritonforge.report.ratios import Ratio

__all__ = ["longer_words", "times_as_long"]

_MOST = 100
"""Beyond so many times nobody measures, and an estimate so close to 1 is mostly chance."""
_NAMED = 3


def times_as_long(ratio: Ratio, same_within: float) -> int | None:
    """Say how many times as long to measure, at the least, for an interval that settles, where the ratio stays.

    An interval reaches from its estimate r, over logarithms, by what shrinks with the square root of time. So it
    leaves 1 at (reach towards 1 / |log r|)² times, or is within what counts as the same at (reach / room)², on the
    worse side; the lesser. That is where it just touches: of simulated windows as many times as long told about half,
    fewer where each is much as the one before. None where it tells nothing, or from 100 times on.
    """
    if not ratio.told:
        return None
    estimate, low, high = (math.log(value) for value in (ratio.estimate, ratio.low, ratio.high))
    below, above = estimate - low, high - estimate
    away = (below if estimate > 0 else above) / abs(estimate) if estimate else math.inf
    rooms = ((below, estimate - math.log(1 - same_within)), (above, math.log(1 + same_within) - estimate))
    within = max(reach / room if room > 0 else math.inf for reach, room in rooms)
    times = min(away, within) ** 2
    return math.ceil(times) if 1 < times < _MOST else None


def longer_words(found: Sequence[tuple[str, int | None]], *, paired: bool) -> list[str]:
    """Say of unsure figures, by their names, how much longer may tell; nothing where that is known of none."""
    known = sorted((times, name) for name, times in found if times is not None)
    if not known:
        return []
    named = ", ".join(f"{times} times for {name}" for times, name in known[:_NAMED])
    more = len(known) - _NAMED
    last = f" and up to {known[-1][0]} times for {more} more" if more > 0 else ""
    what = "as many --pairs" if paired else "as long a --duration"
    return [
        f"unsure verdicts need at least about so many times {what}, if the ratios stay what they are: {named}{last}"
    ]
