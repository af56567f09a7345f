"""The figures of the peers' part, read from its JSON: medians over rounds, ratios of the same round."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["OURS", "PeerPoint", "of_task", "ratio", "read_points"]

OURS = "tritonforge_up"


@dataclass(frozen=True, slots=True)
class PeerPoint:
    """A server asked in one way, at one concurrency; times in µs, CPU by request, each a figure a round."""

    task: str
    key: str
    name: str
    body: str
    concurrency: int
    rates: tuple[float, ...]
    p50s: tuple[float, ...]
    p99s: tuple[float, ...]
    server_cpu: tuple[float, ...]
    generator_cpu: tuple[float, ...]
    idle_cores: float
    errors: tuple[tuple[str, int], ...]

    @property
    def rate(self) -> float:
        """Requests a second."""
        return statistics.median(self.rates)

    @property
    def p50_us(self) -> float:
        """The median latency."""
        return statistics.median(self.p50s)

    @property
    def p99_us(self) -> float:
        """The 99th percentile of latency."""
        return statistics.median(self.p99s)

    @property
    def server_cpu_us(self) -> float:
        """CPU time of all of the server's processes by request; 0 where it isn't known."""
        return statistics.median(self.server_cpu) if self.server_cpu else 0.0

    @property
    def generator_cpu_us(self) -> float:
        """CPU time of the load generator by request."""
        return statistics.median(self.generator_cpu) if self.generator_cpu else 0.0

    @property
    def ours(self) -> bool:
        """Whether it is tritonforge's."""
        return self.key == OURS


def read_points(found: Mapping[str, Any]) -> tuple[PeerPoint, ...]:
    """Read the points of which anything succeeded."""
    return tuple(_point(point) for point in found["points"] if any(point["rates"]))


def of_task(points: Sequence[PeerPoint], task: str, concurrency: int) -> list[PeerPoint]:
    """Give those of a model at one concurrency that were asked in JSON."""
    return [p for p in points if (p.task, p.concurrency, p.body) == (task, concurrency, "JSON")]


def ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """Give the median of the ratios of the same round; of the medians, where not every round has both."""
    if len(one) == len(other) and all(other):
        return statistics.median(a / b for a, b in zip(one, other, strict=True))
    return statistics.median(one) / statistics.median(other) if statistics.median(other) else float("inf")


def _point(found: dict[str, Any]) -> PeerPoint:
    return PeerPoint(
        found["task"],
        found["key"],
        found["name"],
        found["body"],
        found["concurrency"],
        tuple(found["rates"]),
        tuple(found["p50_us"]),
        tuple(found["p99_us"]),
        tuple(found["server_cpu_us"]),
        tuple(found["generator_cpu_us"]),
        found["idle_cores"],
        tuple(found["errors"].items()),
    )
