"""What several forms of a call take: types of inputs, and keyword arguments, whose defaults the calls have."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from typing import Any, TypedDict

from tritonforge.client.calls.mapping import Progress
from tritonforge.client.cuda.arrays import CudaArray
from tritonforge.client.observing.observers import Metrics, Tracing
from tritonforge.client.options import ConnectionOptions
from tritonforge.client.reliable.replicas import Balance, Breaker
from tritonforge.client.reliable.retries import Retries

__all__ = ["AnyBatches", "Batches", "ClientKeywords", "MapKeywords", "SequenceKeywords"]

Batches = Iterable[Any] | CudaArray
"""What a map reads: arrays, alone or by name, or an iterable of batches."""

AnyBatches = Batches | AsyncIterable[Any]
"""What one in an event loop reads: batches that are waited for, too."""


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
