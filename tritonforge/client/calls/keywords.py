"""Keyword arguments that several forms of a call share; the calls themselves have their defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypedDict

from tritonforge.client.calls.mapping import Progress
from tritonforge.client.observing.observers import Metrics, Tracing
from tritonforge.client.options import ConnectionOptions
from tritonforge.client.reliable.replicas import Balance, Breaker
from tritonforge.client.reliable.retries import Retries

__all__ = ["ClientKeywords", "MapKeywords", "SequenceKeywords"]


class ClientKeywords(TypedDict, total=False):
    """Those of `Client` and `AsyncClient`."""

    timeout_s: float
    options: ConnectionOptions | None
    retries: Retries | None
    breaker: Breaker | None
    balance: Balance
    shared_memory: bool
    tracing: Tracing
    metrics: Metrics


class MapKeywords(TypedDict, total=False):
    """Those of `map`."""

    concurrency: int
    ordered: bool
    batch_size: int | None
    version: str | int
    timeout_s: float | None
    headers: Mapping[str, str] | None
    progress: Callable[[Progress], object] | None


class SequenceKeywords(TypedDict, total=False):
    """Those of `sequence`."""

    version: str | int
    sequence_id: int | str | None
    closing: Mapping[str, Any] | None
    replay: bool
    timeout_s: float | None
    headers: Mapping[str, str] | None
