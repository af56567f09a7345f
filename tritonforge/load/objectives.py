"""Whether latency objectives are met. A failed request counts as one that took for ever."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tritonforge.load.results import Latency
from tritonforge.load.settings import Slo

__all__ = ["good_limit_us", "meets"]


def meets(objectives: Sequence[Slo], latency: Latency, failed: int) -> bool:
    """Tell whether all are met, with failures ranked past every success; nothing measured meets none."""
    return latency.count > 0 and all(_value_us(slo, latency, failed) <= slo.limit_us for slo in objectives)


def good_limit_us(objectives: Sequence[Slo]) -> float:
    """Give the bound under which one request is good: that of the highest percentile, or the mean's; 0 for none."""
    if not objectives:
        return 0.0
    return max(objectives, key=lambda slo: (slo.percent or 0.0, slo.limit_us)).limit_us


def _value_us(slo: Slo, latency: Latency, failed: int) -> float:
    count = latency.count
    if slo.percent is None:
        return math.inf if failed else latency.mean_us.value
    rank = math.floor(slo.percent / 100 * (count + failed - 1) + 0.5)
    if rank >= count:
        return math.inf
    return latency.max_us.value if slo.percent == 100 else latency.percentile_us(100 * rank / max(count - 1, 1))
