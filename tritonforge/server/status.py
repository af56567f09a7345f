"""How a server and each of its models are doing: states, processes, requests and times, in one picture."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tritonforge.server.errors import ServerError
from tritonforge.server.health import Health, ModelState, quoted
from tritonforge.server.protocol import Server
from tritonforge.server.statistics import ModelStatistics, fetch_metrics, read_quantiles, read_waiting
from tritonforge.server.stubs import living_stubs

__all__ = ["ModelStatus", "model_statuses", "read_instances"]

_MEDIAN, _TAIL = 0.5, 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """One version of a model. Times are in µs; None is what isn't known, such as a quantile where no request came.

    `instances` is how many copies run it, and `alive` how many of their processes there are: Triton calls a model READY
    whose process has died (24.10); `reload` starts it again. Quantiles are of the last minute.
    """

    name: str
    version: str
    state: str
    reason: str = ""
    kind: str = ""
    instances: int | None = None
    alive: int | None = None
    waiting: int | None = None
    requests: int = 0
    failures: int = 0
    mean_us: float | None = None
    mean_queue_us: float | None = None
    p50_us: float | None = None
    p99_us: float | None = None

    @property
    def healthy(self) -> bool:
        """Whether it serves, with all its processes."""
        return self.state == "READY" and (self.alive is None or self.instances is None or self.alive >= self.instances)


def model_statuses(server: Server, health: Health, *, server_pid: int = 0) -> list[ModelStatus]:
    """Put together what a server's index, statistics, configurations and metrics say, and the processes that it has.

    Versions that were unloaded are left out. Processes are looked at where the server is one of this machine's.

    Raises:
        ServerError: the server doesn't answer, or wants a key.
    """
    counts = {(entry.name, entry.version): entry for entry in server.statistics()}
    metrics = fetch_metrics(server.metrics_url)
    quantiles, waiting = read_quantiles(metrics), read_waiting(metrics)
    stubs = living_stubs(server_pid) if server_pid else None
    found = []
    for state in server.models():
        if state.reason == "unloaded":
            continue
        key = (state.name, state.version)
        config = _config(health, state)
        instances = read_instances(config)
        alive = len(stubs.get(key, ())) if stubs is not None and instances else None
        found.append(
            ModelStatus(
                name=state.name,
                version=state.version,
                state=state.state,
                reason=state.reason,
                kind=str(config.get("platform") or config.get("backend") or ""),
                instances=instances,
                alive=alive if state.state == "READY" else None,
                waiting=waiting.get(key),
                p50_us=quantiles.get(key, {}).get(_MEDIAN),
                p99_us=quantiles.get(key, {}).get(_TAIL),
                **_numbers(counts.get(key)),
            )
        )
    return found


def read_instances(config: Mapping[str, Any]) -> int | None:
    """Count the copies of a model that a completed configuration asks for; None of an ensemble, which has none."""
    groups = config.get("instance_group") or ()
    return sum(int(group.get("count", 1)) * max(1, len(group.get("gpus") or ())) for group in groups) or None


def _config(health: Health, state: ModelState) -> Mapping[str, Any]:
    if state.state != "READY":
        return {}
    path = f"/v2/models/{quoted(state.name)}/versions/{state.version}/config"
    with contextlib.suppress(ServerError, ValueError):
        status, body = health.request("GET", path)
        if status == http.client.OK:
            config: dict[str, Any] = json.loads(body)
            return config
    return {}


def _numbers(counts: ModelStatistics | None) -> dict[str, Any]:
    if counts is None:
        return {}
    means = {"mean_us": counts.mean_us, "mean_queue_us": counts.mean_queue_us} if counts.requests else {}
    return {"requests": counts.requests, "failures": counts.failures, **means}
