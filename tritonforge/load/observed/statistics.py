"""The server's own statistics: what they gained between two moments, for models and the steps of ensembles."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tritonforge.load.pacing.clock import NS
from tritonforge.load.results import ModelStatistics, Window

__all__ = ["RESTRICTED", "WITHOUT", "Counters", "apart", "difference", "meanwhile", "mostly_others", "read_counters"]

_DRIFT, _FEW = 0.05, 10
_LATE_SHARE = 0.1

RESTRICTED = re.compile(r": HTTP 403\b|\brestricted\b")
"""In the error of a question that wants a key, or that a server answers nobody."""

WITHOUT = "--no-server-statistics, or server_statistics=False, measures without them"
"""What to do where they can't be read."""

Counters = dict[tuple[str, str], dict[str, int]]
"""By model and version: counts and sums of ns, `queue.count`, `queue.ns`, …, `batch.8` the executions of that size."""

_TIMES = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss")


def read_counters(answer: Mapping[str, Any]) -> Counters:
    """Flatten an answer of the statistics endpoint, over HTTP or gRPC (there, zeros are left out, and text).

    Raise ValueError where it isn't what that answers.
    """
    try:
        return {
            (str(entry["name"]), str(entry.get("version", ""))): _flat(entry) for entry in answer.get("model_stats", ())
        }
    except (AttributeError, KeyError, TypeError):
        raise ValueError("model_stats is no list of models with their counts and times") from None


def difference(before: Counters, after: Counters, composing: Mapping[str, bool]) -> tuple[ModelStatistics, ...]:
    """Give what each of the named models gained, in their order; those that had nothing to do are left out.

    A counter that went down was begun anew (the model was reloaded): all it shows was gained since.
    """
    found = []
    for model, is_step in composing.items():
        for (name, version), counters in after.items():
            if name != model:
                continue
            was = before.get((name, version), {})
            gained = {key: value - (old if (old := was.get(key, 0)) <= value else 0) for key, value in counters.items()}
            if gained.get("success.count", 0) or gained.get("fail.count", 0) or gained.get("executions", 0):
                found.append(_statistics(name, version, is_step, gained))
    return tuple(found)


def apart(
    server: Sequence[ModelStatistics],
    requests: int,
    failed: int,
    in_flight: float,
    late: float = 0.0,
    *,
    streams: bool = False,
) -> str:
    """Say where the server counted other requests than those that ended here; else give an empty text.

    At both edges of the windows those in flight count on one side alone. Its statistics are read a little late, which
    is known: `late` requests may have ended meanwhile, which is said where they are more than a few of all.
    """
    counted = _counted(server)
    beyond = max(counted - requests - failed, requests - counted) - 2 * in_flight - _DRIFT * requests - _FEW
    if all(statistics.composing for statistics in server) or beyond <= 0 or beyond <= late <= _LATE_SHARE * requests:
        return ""
    of_responses = ", its backend counts each response of a stream" if streams else ""
    cause = (
        "its statistics were read late, as this machine had no processor for that, or the server none for the answer"
        if beyond <= late
        else f"others load it too{of_responses}, or its statistics lag, for which windows below 0.5 s are short"
    )
    others = mostly_others(server, requests, failed, in_flight)
    where = "of all that it counted" if not others else "left out of where the mean latency goes: most are of others"
    return (
        f"the server counted {counted:,} requests between the windows' edges, and {requests + failed:,} ended here: "
        f"{cause}; its own figures are {where}"
    )


def mostly_others(server: Sequence[ModelStatistics], requests: int, failed: int, in_flight: float) -> bool:
    """Tell whether the server counted more than twice the requests that ended here, but for those at the edges."""
    return _counted(server) > 2 * (requests + failed) + 2 * in_flight + _DRIFT * requests + _FEW


def _counted(server: Sequence[ModelStatistics]) -> int:
    return sum(statistics.requests for statistics in server if not statistics.composing)


def meanwhile(windows: Sequence[Window], late_ns: int) -> float:
    """Give how many requests may have ended in some time: as many as in the fastest of the measured windows.

    Where a reading is late the machine is busy, and the load no even one: by the mean of all windows a long lag would
    not explain what the server counted in it (seen over gRPC, whose readings are later).
    """
    rates = (window.requests / window.duration_s for window in windows if window.measured and window.duration_s)
    return max(rates, default=0.0) * late_ns / NS


def _flat(entry: Mapping[str, Any]) -> dict[str, int]:
    counters = {
        "inferences": _count(entry, "inference_count"),
        "executions": _count(entry, "execution_count"),
    }
    for name in _TIMES:
        times = entry.get("inference_stats", {}).get(name, {})
        counters[f"{name}.count"], counters[f"{name}.ns"] = _count(times, "count"), _count(times, "ns")
    for batch in entry.get("batch_stats", ()):
        counters[f"batch.{_count(batch, 'batch_size')}"] = _count(batch.get("compute_infer", {}), "count")
    return counters


def _count(of: Mapping[str, Any], name: str) -> int:
    try:
        return int(of.get(name, 0))
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"{name} is {of[name]!r}, which is no number of anything") from None


def _statistics(name: str, version: str, composing: bool, gained: Mapping[str, int]) -> ModelStatistics:
    count = gained["success.count"]

    def mean_us(what: str) -> float:
        return gained[f"{what}.ns"] / count / 1e3 if count else 0.0

    def own_us(what: str) -> float:
        own = gained[f"{what}.count"]
        return gained[f"{what}.ns"] / own / 1e3 if own else 0.0

    steps = [mean_us(what) for what in ("queue", "compute_input", "compute_infer", "compute_output")]
    request_us = mean_us("success")
    return ModelStatistics(
        name,
        version,
        composing,
        requests=count,
        executions=gained["executions"],
        inferences=gained["inferences"],
        failures=gained["fail.count"],
        request_us=request_us,
        queue_us=steps[0],
        compute_input_us=steps[1],
        compute_infer_us=steps[2],
        compute_output_us=steps[3],
        overhead_us=max(0.0, request_us - sum(steps)),
        cache_hits=gained["cache_hit.count"],
        cache_hit_us=own_us("cache_hit"),
        cache_misses=gained["cache_miss.count"],
        cache_miss_us=own_us("cache_miss"),
        batches=_batches(gained.items()),
    )


def _batches(items: Iterable[tuple[str, int]]) -> dict[int, int]:
    sizes = {int(key.removeprefix("batch.")): count for key, count in items if key.startswith("batch.") and count}
    return dict(sorted(sizes.items()))
