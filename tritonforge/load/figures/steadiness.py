"""Whether a measurement's windows agree, or its parts: by perf_analyzer's rule, and where that isn't asked, by far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from tritonforge.load.figures.estimates import is_stable
from tritonforge.load.figures.merge import joined
from tritonforge.load.settings import Settings
from tritonforge.load.workers.job import Tally

__all__ = ["agree", "drift", "in_parts"]

_FAR, _FEWEST = 1.5, 2
_DEVIATIONS = 4.0


def agree(windows: Sequence[Tally], settings: Settings) -> bool:
    """Hold the last windows against perf_analyzer's rule, by request rate and mean latency."""
    means = [tally.latency.mean for tally in windows]
    return is_stable(_rates(windows), means, within=settings.stability, windows=settings.stable_windows)


def in_parts(windows: Sequence[Tally], parts: int) -> list[Tally]:
    """Join windows into so many parts, as equal as they can be; fewer windows are a part each."""
    edges = [round(part * len(windows) / parts) for part in range(parts + 1)]
    return [joined(windows[start:end]) for start, end in pairwise(edges) if end > start]


def drift(windows: Sequence[Tally], settings: Settings) -> str:
    """Say where a measurement's parts are far from each other, further than chance takes them; else nothing."""
    parts = in_parts(windows, settings.stable_windows)
    answered = [part for part in parts if part.latency.count]
    if len(parts) < _FEWEST or not answered:
        return ""
    rates = _rates(parts)
    # Of n requests that come by chance, n varies by its square root.
    chances = [math.sqrt(max(part.latency.count, 1)) / max(part.duration_ns, 1) for part in parts]
    if _far(rates, chances):
        return f"not alike throughout: {_listed(rates, 1e9)} requests/s, one part after the other"
    means = [part.latency.mean for part in answered]
    if len(means) >= _FEWEST and _far(means, [part.latency.std / math.sqrt(part.latency.count) for part in answered]):
        return f"not alike throughout: mean latencies of {_listed(means, 1e-6)} ms, one part after the other"
    return ""


def _rates(windows: Sequence[Tally]) -> list[float]:
    return [tally.latency.count / max(tally.duration_ns, 1) for tally in windows]


def _far(values: Sequence[float], chances: Sequence[float]) -> bool:
    """Tell whether the ends are far apart; `chances` are how far each value may be off by chance."""
    (least, its), *_, (most, other) = sorted(zip(values, chances, strict=True))
    return most > _FAR * least and most - least > _DEVIATIONS * math.hypot(its, other)


def _listed(values: Sequence[float], unit: float) -> str:
    *first, last = (f"{value * unit:,.3g}" if value * unit < 100 else f"{value * unit:,.0f}" for value in values)
    return f"{', '.join(first)} and {last}" if first else last
