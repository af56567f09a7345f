"""Whether latency objectives are met. A request that failed, or had no answer, counts as one that took for ever."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tritonforge.load.results import Latency
from tritonforge.load.settings import Slo

__all__ = ["good_limit_us", "missed"]


def missed(
    objectives: Sequence[Slo],
    latency: Latency,
    failed: int,
    unanswered: int = 0,
    overdue: Mapping[int, int] | None = None,
) -> tuple[str, ...]:
    """Name those that aren't met, with what never succeeded ranked past every success; nothing measured meets none.

    `unanswered` are those that were under way at the end, and had no answer though it was waited for, or failed in that
    time; `failed` are others. `overdue` has, by an objective's limit in ns, how many more
    requests older than that were under way at the end of the windows than at their start: each is known to take longer,
    and those that did so at the start and have ended since are among the successes.
    """

    def met(slo: Slo) -> bool:
        beyond = 0 if slo.percent is None else (overdue or {}).get(slo.limit_ns, 0)
        return _value_us(slo, latency, failed + max(unanswered, beyond)) <= slo.limit_us

    return tuple(slo.statistic for slo in objectives if not latency.count or not met(slo))


def good_limit_us(objectives: Sequence[Slo]) -> float:
    """Give the bound within which one request is good: that of the highest percentile, 0 for none.

    Those of lower percentiles leave some requests beyond them, and a mean is no bound of one request.
    """
    bounds = [(slo.percent, slo.limit_us) for slo in objectives if slo.percent is not None]
    return max(bounds)[1] if bounds else 0.0


def _value_us(slo: Slo, latency: Latency, failed: int) -> float:
    count = latency.count
    if slo.percent is None:
        return math.inf if failed else latency.mean_us.value
    rank = math.floor(slo.percent / 100 * (count + failed - 1) + 0.5)
    if rank >= count:
        return math.inf
    return latency.max_us.value if slo.percent == 100 else latency.percentile_us(100 * rank / max(count - 1, 1))
