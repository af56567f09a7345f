"""The metrics of `triton_python_backend_utils`, kept in this process."""

from __future__ import annotations

import json
from typing import ClassVar

__all__ = ["Metric", "MetricFamily", "TritonModelException"]


class TritonModelException(Exception):
    """What the real module raises."""


class Metric:
    """One series."""

    def __init__(self, kind: int, buckets: list[float] | None) -> None:
        self.kind = kind
        self.buckets = buckets
        self.observed: list[float] = []
        self._value = 0.0

    def increment(self, value: float) -> None:
        """Add to it; a counter refuses what is negative."""
        if self.kind == MetricFamily.COUNTER and value < 0:
            raise TritonModelException(
                "Failed to increment metric value: TRITONSERVER_METRIC_KIND_COUNTER can only be incremented "
                "monotonically by non-negative values."
            )
        self._value += value

    def set(self, value: float) -> None:
        """Set a gauge."""
        if self.kind != MetricFamily.GAUGE:
            raise TritonModelException("Unsupported metric kind")
        self._value = value

    def observe(self, value: float) -> None:
        """Give a histogram a value."""
        if self.kind != 2:
            raise TritonModelException("Unsupported metric kind")
        self.observed.append(value)

    def value(self) -> float:
        """Give the value of a counter or gauge."""
        return self._value


class MetricFamily:
    """Series of one name; `all` keeps every series of every family by its name and labels, as the server does."""

    COUNTER = 0
    GAUGE = 1
    HISTOGRAM = 2
    all: ClassVar[dict[tuple[str, str], Metric]] = {}
    kinds: ClassVar[dict[str, int]] = {}

    def __init__(self, name: str, description: str, kind: int) -> None:
        if self.kinds.setdefault(name, kind) != kind:
            raise TritonModelException(
                "Error when creating MetricFamily: Family name already exists with different type"
            )
        self.name = name
        self.kind = kind

    def Metric(self, labels: dict[str, str], buckets: list[float] | None = None) -> Metric:  # noqa: N802 - its name
        """Give the series with these labels; series of equal name and labels are one."""
        if (buckets is not None) != (self.kind == 2):
            raise TritonModelException("histograms, and no others, have buckets")
        if not all(isinstance(value, str) for value in labels.values()):
            raise TritonModelException("Error when creating Metric: attempt to access JSON non-string as string")
        return self.all.setdefault((self.name, json.dumps(labels, sort_keys=True)), Metric(self.kind, buckets))
