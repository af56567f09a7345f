"""How a server and each of its models are doing: states, processes, requests and times, in one picture."""

from __future__ import annotations

import contextlib
import http.client
import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tritonforge.server.asking.health import Health, ModelState, quoted
from tritonforge.server.asking.statistics import ModelStatistics, fetch_metrics, read_quantiles, read_waiting
from tritonforge.server.asking.stubs import living_stubs
from tritonforge.server.errors import ServerError
from tritonforge.server.installed.backends import PYTHON_BACKENDS
from tritonforge.server.protocol import Server
from tritonforge.server.repository.folder import is_model

__all__ = ["ModelStatus", "amiss", "model_statuses", "read_instances", "served_beside", "unloaded"]

_MEDIAN, _TAIL = 0.5, 0.99
_UNLOADED = "unloaded"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """One version of a model. Times are in µs; None is what isn't known, such as a quantile where no request came.

    Whether a failure of it matters is up to the model's other versions: see `amiss`.

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
        """Whether this version serves, with all its processes."""
        return self.state == "READY" and (self.alive is None or self.instances is None or self.alive >= self.instances)


def amiss(statuses: Iterable[ModelStatus]) -> list[ModelStatus]:
    """Give the versions that call for a mend: those that have lost a process, and those that don't serve but should.

    Triton keeps a failed version in its index for ever (24.10). It counts as long as it is the model's newest attempt;
    a newer version that serves settles it. What is being loaded beside one that serves is no failure yet.
    """
    models: dict[str, list[ModelStatus]] = {}
    for status in statuses:
        models.setdefault(status.name, []).append(status)
    return [status for versions in models.values() for status in versions if _amiss(status, versions)]


def served_beside(status: ModelStatus, statuses: Iterable[ModelStatus]) -> ModelStatus | None:
    """Give the newest version of the same model that serves, where this one doesn't."""
    ready = [other for other in statuses if other.name == status.name and other.state == "READY"]
    return max(ready, key=_number, default=None) if status.state != "READY" else None


def _amiss(status: ModelStatus, versions: Sequence[ModelStatus]) -> bool:
    if status.state == "READY":
        return not status.healthy
    if status.state == "UNLOADING":
        return False
    beside = served_beside(status, versions)
    return beside is None or (status.state != "LOADING" and _number(status) >= _number(beside))


def _number(status: ModelStatus) -> float:
    return int(status.version) if status.version else math.inf


def model_statuses(
    server: Server,
    health: Health,
    *,
    server_pid: int = 0,
    python_backends: Collection[str] = PYTHON_BACKENDS,
    repository: Path | None = None,
    failed: Mapping[str, str] | None = None,
) -> list[ModelStatus]:
    """Put together what a server's index, statistics, configurations and metrics say, and the processes that it has.

    Versions that were unloaded are left out, and so is what failed of a model that was. Where the `repository` is
    known, our start saw to it that all is loaded that was to be: models that never were, and what failed of versions
    that it no longer has, are left out, too. Processes are looked at where the server is one of this machine's, and
    the model's backend one of `python_backends`.
    `failed` are models whose new files didn't load, with the reason: Triton's index has those only that had a version
    of their own.

    Raises:
        ServerError: the server doesn't answer, or wants a key.
    """
    counts = {(entry.name, entry.version): entry for entry in server.statistics()}
    metrics = fetch_metrics(server.metrics_url)
    quantiles, waiting = read_quantiles(metrics), read_waiting(metrics)
    stubs = living_stubs(server_pid) if server_pid else None
    listed = server.models()
    unlisted = _unlisted(listed, counts)
    found = []
    for state in [*_wanted(listed, repository), *unlisted]:
        key = (state.name, state.version)
        config = _config(health, state)
        instances = read_instances(config)
        counted = stubs is not None and instances and config.get("backend") in python_backends and state not in unlisted
        alive = len(stubs.get(key, ())) if stubs is not None and counted else None
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
                **_numbers(counts.get(key), quantiles.get(key, {})),
            )
        )
    return sorted([*found, *_failed(failed or {}, found, repository)], key=lambda status: status.name)


def _unlisted(states: Sequence[ModelState], counts: Iterable[tuple[str, str]]) -> list[ModelState]:
    """Give what serves and isn't in Triton's index: models whose files came with the request to load them (24.10).

    The paths of those files, in a temporary folder, don't tell which model they are of.
    """
    listed = {(state.name, state.version) for state in states}
    return [ModelState(*each, state="READY") for each in counts if each not in listed]


def _failed(reasons: Mapping[str, str], found: Sequence[ModelStatus], repository: Path | None) -> Iterator[ModelStatus]:
    """Give what failed to load and isn't among what was found, by the version that the repository has of it."""
    told = {status.name for status in found if status.state == "UNAVAILABLE"}
    for name, reason in reasons.items():
        folder = (repository or Path()) / name
        if name not in told and folder.is_dir():
            versions = (path.name for path in folder.iterdir() if path.name.isdecimal())
            yield ModelStatus(name=name, version=max(versions, key=int, default=""), state="UNAVAILABLE", reason=reason)


def unloaded(states: Sequence[ModelState], repository: Path) -> list[str]:
    """Name the models of a repository that were unloaded, or are about to be, and serve in no version."""
    up = {state.name for state in states if state.state in ("READY", "LOADING")}
    away = {state.name for state in states if state.state == "UNLOADING" or state.reason == _UNLOADED} - up
    return sorted(name for name in away if is_model(repository / name))


def _wanted(states: Sequence[ModelState], repository: Path | None) -> list[ModelState]:
    up = {state.name for state in states if state.state != "UNAVAILABLE"}
    away = {state.name for state in states if state.reason == _UNLOADED} - up

    def gone(state: ModelState) -> bool:
        if repository is None or state.state not in ("", "UNAVAILABLE"):
            return False
        return not state.state or not (repository / state.name / state.version).exists()

    return [s for s in states if s.reason != _UNLOADED and s.name not in away and not gone(s)]


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


def _numbers(counts: ModelStatistics | None, quantiles: Mapping[float, float]) -> dict[str, Any]:
    """Give a version's counts and times since it was loaded; the last minute has quantiles of a load before, too."""
    if counts is None:
        return {}
    times = {
        "mean_us": counts.mean_us,
        "mean_queue_us": counts.mean_queue_us,
        "p50_us": quantiles.get(_MEDIAN),
        "p99_us": quantiles.get(_TAIL),
    }
    return {"requests": counts.requests, "failures": counts.failures, **(times if counts.requests else {})}
