"""A report as perf_analyzer writes it: its CSV, column for column, so that what reads one reads the other."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence

from tritonforge.load import ModelStatistics, Point, Report

__all__ = ["perf_analyzer_csv"]

_LOADS = {"concurrency": "Concurrency"}


def perf_analyzer_csv(report: Report) -> str:
    """Write a row for each load: times in whole microseconds, cache columns only where the cache was used.

    Server columns are means per request of the models that were called, weighted by their requests; an ensemble's are
    the server's own for it. Network and server is what remains of the mean latency, from the actual start, as in
    perf_analyzer. The client's send and receive are not apart from it here, and written as 0.
    """
    cached = any(model.cache_hits or model.cache_misses for point in report.points for model in point.server)
    kinds = {point.load.kind for point in report.points}
    first = _LOADS.get(kinds.pop(), "Request Rate") if len(kinds) == 1 else "Request Rate"
    cache = ["Server Cache Hit", "Server Cache Miss"] if cached else []
    header = [
        first, "Inferences/Second", "Client Send", "Network+Server Send/Recv", "Server Queue", "Server Compute Input",
        "Server Compute Infer", "Server Compute Output", *cache, "Client Recv",
        "p50 latency", "p90 latency", "p95 latency", "p99 latency",
    ]  # fmt: skip
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for point in report.points:
        writer.writerow(_row(point, cached=cached))
    return text.getvalue()


def _row(point: Point, *, cached: bool) -> list[str]:
    models = [model for model in point.server if not model.composing]
    latency = point.latency_uncorrected
    server_us = _mean(models, lambda model: model.request_us)
    times = [
        0.0,
        max(latency.mean_us.value - server_us, 0.0),
        _mean(models, lambda model: model.queue_us),
        _mean(models, lambda model: model.compute_input_us),
        _mean(models, lambda model: model.compute_infer_us),
        _mean(models, lambda model: model.compute_output_us),
    ]
    if cached:
        times += [_mean(models, lambda model: model.cache_hit_us), _mean(models, lambda model: model.cache_miss_us)]
    times += [0.0, *(latency.percentile_us(percent) for percent in (50, 90, 95, 99))]
    return [f"{point.load.value:g}", f"{point.throughput.value:.6g}", *(str(round(us)) for us in times)]


def _mean(models: Sequence[ModelStatistics], get: Callable[[ModelStatistics], float]) -> float:
    requests = sum(model.requests for model in models)
    return sum(get(model) * model.requests for model in models) / requests if requests else 0.0
