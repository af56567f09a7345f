"""A report as perf_analyzer writes it: its CSV, column for column, so that what reads one reads the other."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence

from tritonforge.load import ModelStatistics, Point, Report
from tritonforge.load.figures.breakdown import send_outside_us

__all__ = ["perf_analyzer_csv"]

_LOADS = {"concurrency": "Concurrency"}


def perf_analyzer_csv(report: Report) -> str:
    """Write a row for each load: times in whole microseconds, cache columns only where the cache was used.

    The cells of times are empty where nothing was measured, those of the client's where it wasn't timed, and those of
    the server's and the network's where the server tells nothing of its own, or mostly of others' requests.

    As in perf_analyzer's `report_writer.cc` (2.50): server columns are means of the models that were called, weighted
    by their requests, those of computing over requests that the cache didn't answer; an ensemble's are the server's own
    for it. Network and server is what all columns leave of the mean latency, from the actual start, so that the
    server's overhead is in it. The client's send and receive are means over a sample, the send without what reaches
    into the server's time, as in the table of where the time goes: so the columns add up to the latency.
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
    models = [model for model in point.server if not (model.composing or point.server_of_others)]
    latency = point.latency_uncorrected
    server = [
        _mean(models, lambda model: model.queue_us),
        *(_computed(models, name) for name in ("compute_input_us", "compute_infer_us", "compute_output_us")),
    ]
    cache = [
        _mean(models, lambda model: model.cache_hit_us, lambda model: model.cache_hits),
        _mean(models, lambda model: model.cache_miss_us, lambda model: model.cache_misses),
    ]
    send = send_outside_us(point)
    accounted = sum(server) + sum(cache) + (send or 0.0) + (point.client_receive_us or 0.0)
    told: list[float | None] = [max(latency.mean_us.value - accounted, 0.0), *server, *(cache if cached else ())]
    times: list[float | None] = [
        send,
        *(told if models else [None] * len(told)),
        point.client_receive_us,
        *(latency.percentile_us(percent) for percent in (50, 90, 95, 99)),
    ]
    written = [str(round(us)) if point.requests and us is not None else "" for us in times]
    return [f"{point.load.value:g}", f"{point.throughput.value:.6g}", *written]


def _computed(models: Sequence[ModelStatistics], name: str) -> float:
    """Give a step's mean over the requests that were computed; a model's own figure is over all of them."""
    computed = sum(model.requests - model.cache_hits for model in models)
    return sum(getattr(model, name) * model.requests for model in models) / computed if computed > 0 else 0.0


def _mean(
    models: Sequence[ModelStatistics],
    get: Callable[[ModelStatistics], float],
    weight: Callable[[ModelStatistics], int] = lambda model: model.requests,
) -> float:
    whole = sum(weight(model) for model in models)
    return sum(get(model) * weight(model) for model in models) / whole if whole else 0.0
