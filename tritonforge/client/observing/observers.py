"""Who observes a client's calls, by its settings: OpenTelemetry and Prometheus, imported where they are wanted."""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

from tritonforge.client.observing.observation import Observer
from tritonforge.errors import TritonForgeError

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider
    from prometheus_client import CollectorRegistry

__all__ = ["Metrics", "Tracing", "find_observers"]

Tracing: TypeAlias = "TracerProvider | bool | None"
"""None: spans where opentelemetry-api is installed; True: it must be; False: none; a provider: spans, by that one."""

Metrics: TypeAlias = "CollectorRegistry | bool"
"""True: metrics in the default registry of prometheus_client; False: none. A registry in its place."""


def find_observers(tracing: TracerProvider | bool | None, metrics: CollectorRegistry | bool) -> list[Observer]:
    """Give the observers. Raise TritonForgeError where one's package is wanted and missing, TypeError for others."""
    observers: list[Observer] = []
    if tracing is not None and not isinstance(tracing, bool) and not hasattr(tracing, "get_tracer"):
        raise TypeError(f"tracing is {tracing!r}; it takes None, True, False, or a TracerProvider")
    if not isinstance(metrics, bool) and not hasattr(metrics, "register"):
        raise TypeError(f"metrics is {metrics!r}; it takes True, False, or a CollectorRegistry")
    if tracing is not False and (_installed("opentelemetry.trace") or tracing is not None):
        _require("opentelemetry.trace", "tracing=True", "otel")
        from tritonforge.client.observing.tracing import Tracer

        observers.append(Tracer(None if tracing is None or tracing is True else tracing))
    if metrics is not False:
        _require("prometheus_client", "metrics=True", "prometheus")
        from tritonforge.client.observing.prometheus import Prometheus

        observers.append(Prometheus(None if metrics is True else metrics))
    return observers


@cache
def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of the package that it is in
        return False


def _require(module: str, setting: str, extra: str) -> None:
    if not _installed(module):
        package = module.partition(".")[0]
        raise TritonForgeError(f"{setting} takes {package}, which isn't installed: pip install tritonforge[{extra}]")
