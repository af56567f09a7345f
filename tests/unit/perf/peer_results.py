"""Raw figures of a made-up run, as perf/peers/bench.py writes them."""

from __future__ import annotations

from typing import Any

MACHINE = {
    "versions": {"python": "3.11.7", "tritonforge": "0.1.0"},
    "hardware": {"cpu": "A CPU", "cores": "2", "memory": "8 GB", "system": "Linux"},
    "started": "2026-01-02T03:04:05+00:00",
    "load": 0.1,
}


def point(key: str, name: str, concurrency: int, rates: list[float], p99_us: float, **other: Any) -> dict[str, Any]:
    """Give a row at one concurrency; its p50 is a tenth of its p99."""
    return {
        "task": "breast_cancer",
        "key": key,
        "name": name,
        "body": "JSON",
        "concurrency": concurrency,
        "rates": rates,
        "p50_us": [p99_us / 10] * len(rates),
        "p99_us": [p99_us] * len(rates),
        "server_cpu_us": [100.0] * len(rates),
        "generator_cpu_us": [20.0] * len(rates),
        "errors": {},
        "idle_cores": 0.01,
    } | other


def server(key: str, name: str, **other: Any) -> dict[str, Any]:
    """Give what is kept of a server."""
    known = {"task": "breast_cancer", "title": "the classifier", "key": key, "name": name, "settings": "as it comes"}
    memory = {"processes": 3, "uss": 100 * 2**20, "pss": 120 * 2**20, "shm": 0}
    return known | {"versions": {"bentoml": "1.4"}, "start_s": 2.5, "memory": memory} | other


def results(*points: dict[str, Any], servers: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Give the JSON of the part."""
    return {
        "machine": MACHINE,
        "settings": {"workers": 2, "rounds": 3, "seconds": 2.0},
        "servers": servers or [server("tritonforge_up", "tritonforge"), server("bentoml", "BentoML")],
        "points": list(points),
        "command": "python perf/peers/bench.py",
        "took_s": 10.0,
        "status": 0,
        "figures": [],
    }
