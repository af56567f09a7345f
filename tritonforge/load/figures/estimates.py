"""Figures over windows: pooled, with confidence intervals; and when windows agree."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tritonforge.load.figures.histogram import Histogram
from tritonforge.load.results import Estimate, Latency

__all__ = ["estimate", "is_stable", "pool", "pooled_rate", "summarize", "t_quantile"]

# Student's t at 97.5 %, by degrees of freedom; from 31 on, Cornish-Fisher's expansion about the normal quantile.
_T = (
    *(12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157, 2.228139),
    *(2.200985, 2.178813, 2.160369, 2.144787, 2.131450, 2.119905, 2.109816, 2.100922, 2.093024, 2.085963),
    *(2.079614, 2.073873, 2.068658, 2.063899, 2.059539, 2.055529, 2.051831, 2.048407, 2.045230, 2.042272),
)
_Z = 1.959964


def t_quantile(degrees: int) -> float:
    """Give Student's t at 97.5 %, within 1e-4. Raise ValueError below one degree of freedom."""
    if degrees < 1:
        raise ValueError(f"{degrees} degrees of freedom; there must be at least 1")
    if degrees <= len(_T):
        return _T[degrees - 1]
    return _Z + (_Z**3 + _Z) / (4 * degrees) + (5 * _Z**5 + 16 * _Z**3 + 3 * _Z) / (96 * degrees**2)


def estimate(value: float, per_window: Sequence[float]) -> Estimate:
    """Put an interval of 95 % about a pooled value: t times the standard error of the windows' own values.

    Windows are taken for independent. The interval doesn't go below 0.
    """
    count = len(per_window)
    if count < 2:
        return Estimate(value)
    mean = math.fsum(per_window) / count
    variance = math.fsum((item - mean) ** 2 for item in per_window) / (count - 1)
    half = t_quantile(count - 1) * math.sqrt(variance / count)
    return Estimate(value, max(0.0, value - half), value + half)


def pooled_rate(counts: Sequence[float], durations_s: Sequence[float]) -> Estimate:
    """Give the sum of counts by the sum of durations, as perf_analyzer merges windows."""
    pairs = [(count, duration) for count, duration in zip(counts, durations_s, strict=True) if duration > 0]
    total = math.fsum(duration for _, duration in pairs)
    value = math.fsum(count for count, _ in pairs) / total if total else 0.0
    return estimate(value, [count / duration for count, duration in pairs])


def pool(histograms: Sequence[Histogram]) -> Histogram:
    """Merge histograms."""
    merged = Histogram()
    for histogram in histograms:
        merged = merged.merged(histogram)
    return merged


def summarize(histograms: Sequence[Histogram]) -> Latency:
    """Summarize times in ns, one histogram a window: pooled figures in µs, intervals over windows that have any."""
    whole = pool(histograms)
    windows = [histogram for histogram in histograms if histogram.count]

    def percentile(percent: float) -> Estimate:
        values = [window.percentile(percent) / 1e3 for window in windows]
        return estimate(whole.percentile(percent) / 1e3, values)

    return Latency(
        mean_us=estimate(whole.mean / 1e3, [window.mean / 1e3 for window in windows]),
        std_us=estimate(whole.std / 1e3, [window.std / 1e3 for window in windows]),
        min_us=estimate(whole.minimum / 1e3, [window.minimum / 1e3 for window in windows]),
        max_us=estimate(whole.maximum / 1e3, [window.maximum / 1e3 for window in windows]),
        p50_us=percentile(50),
        p90_us=percentile(90),
        p95_us=percentile(95),
        p99_us=percentile(99),
        p999_us=percentile(99.9),
        histogram=whole,
    )


def is_stable(rates: Sequence[float], latencies: Sequence[float], *, within: float, windows: int = 3) -> bool:
    """Tell whether the last windows agree, as perf_analyzer has it: max / min of each is at most 1 + `within`."""
    if len(rates) < windows:
        return False
    for values in (rates[-windows:], latencies[-windows:]):
        if min(values) <= 0 or max(values) > min(values) * (1 + within):
            return False
    return True
