"""A running server's counts and times of each model: from its statistics, and from its metrics."""

from __future__ import annotations

import http.client
import json
import re
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tritonforge.server.asking.health import Health, refusal

__all__ = ["ModelStatistics", "fetch_metrics", "read_quantiles", "read_statistics", "read_waiting"]

_TIMEOUT_S = 5.0
_SAMPLE = re.compile(r"^(?P<name>\w+)\{(?P<labels>[^}]*)\} (?P<value>\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_SUMMARY = "nv_inference_request_summary_us"
_WAITING = "nv_inference_pending_request_count"


@dataclass(frozen=True, slots=True)
class ModelStatistics:
    """What a version of a model has done since it was loaded. Means are over all successful requests, in µs.

    `requests` counts calls that succeeded, `failures` others; `inferences` rows, whose quotient by `executions` is the
    mean batch. To Triton 24.10 a call failed where a Python model raised, not where it answered with an error.
    """

    name: str
    version: str
    requests: int
    failures: int
    inferences: int
    executions: int
    mean_us: float
    mean_queue_us: float


def read_statistics(health: Health) -> list[ModelStatistics]:
    """Read the statistics of all loaded models.

    Raises:
        ServerError: the server doesn't answer, or wants a key.
    """
    status, body = health.request("GET", "/v2/models/stats")
    if status != http.client.OK:
        raise refusal("the server doesn't tell its statistics", status, body)
    return [_parse(entry) for entry in json.loads(body)["model_stats"]]


def read_quantiles(metrics: str) -> Mapping[tuple[str, str], Mapping[float, float]]:
    """Find on a page of metrics the quantiles of each model's request time, in µs, by (name, version).

    Triton 24.10 computes them over the last minute (summary_latencies); a model without requests then has none.
    """
    found: dict[tuple[str, str], dict[float, float]] = {}
    for labels, value in _samples(metrics, _SUMMARY):
        if "quantile" in labels and value == value:  # noqa: PLR0124  not a number where there was no request
            found.setdefault((labels["model"], labels["version"]), {})[float(labels["quantile"])] = value
    return found


def read_waiting(metrics: str) -> Mapping[tuple[str, str], int]:
    """Find on a page of metrics how many requests wait in each model's queue, by (name, version)."""
    return {(labels["model"], labels["version"]): int(value) for labels, value in _samples(metrics, _WAITING)}


def fetch_metrics(url: str) -> str:
    """Get a page of metrics; empty where there is none."""
    if not url:
        return ""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # all else of the server is asked so, too
    try:
        with direct.open(url, timeout=_TIMEOUT_S) as page:
            text: str = page.read().decode(errors="replace")
    except OSError:
        return ""
    return text


def _parse(entry: Mapping[str, Any]) -> ModelStatistics:
    spent = entry["inference_stats"]
    return ModelStatistics(
        entry["name"],
        str(entry["version"]),
        int(spent["success"]["count"]),
        int(spent["fail"]["count"]),
        int(entry["inference_count"]),
        int(entry["execution_count"]),
        _mean_us(spent["success"]),
        _mean_us(spent["queue"]),
    )


def _mean_us(duration: Mapping[str, int]) -> float:
    return duration["ns"] / 1000 / duration["count"] if duration["count"] else 0.0


def _samples(metrics: str, name: str) -> list[tuple[dict[str, str], float]]:
    """Read the samples of one metric, with their labels."""
    return [
        (dict(_LABEL.findall(sample["labels"])), float(sample["value"]))
        for sample in _SAMPLE.finditer(metrics)
        if sample["name"] == name
    ]
