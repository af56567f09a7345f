"""What a report says at a glance, and what it was measured with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Literal

from tritonforge.load import Report
from tritonforge.report.charts.numbers import compact, duration

__all__ = ["Tile", "facts", "tiles"]


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure in large letters, and what goes with it."""

    name: str
    figure: str
    note: str
    mood: Literal["", "good", "bad"] = ""


def tiles(report: Report) -> list[Tile]:
    """Choose the figures that matter: most throughput, least latency, objectives, errors, what a search found."""
    points = [point for point in report.points if point.requests]
    if not points:
        return []
    best = max(points, key=lambda point: point.throughput.value)
    fast = min(points, key=lambda point: point.latency.p50_us.value)
    found = [
        Tile("Most inferences a second", compact(best.throughput.value), f"at {best.load}"),
        Tile("p99 there", duration(best.latency.p99_us.value), f"p50 {duration(best.latency.p50_us.value)}"),
        Tile("Least p50", duration(fast.latency.p50_us.value), f"at {fast.load}"),
    ]
    if report.best is not None:
        note = report.best.kind + ("" if report.complete else ", so far: the search was not finished")
        found.append(Tile("Greatest load that meets it", f"{report.best.value:g}", note, "good"))
    if report.knee is not None:
        found.append(Tile("Knee", f"{report.knee.value:g}", f"{report.knee.kind}; the most throughput / latency"))
    judged = [point for point in points if point.slo_met is not None]
    if judged:
        met = sum(bool(point.slo_met) for point in judged)
        words = ", ".join(f"{slo.statistic} ≤ {duration(slo.limit_us)}" for slo in report.settings.slo)
        found.append(Tile("Loads within the objective", f"{met} of {len(judged)}", words, "good" if met else "bad"))
    failed, sent = sum(p.failed for p in report.points), sum(p.requests for p in points)
    note = f"of {compact(sent + failed)} requests"
    found.append(Tile("Errors", compact(failed), note, "bad" if failed else ""))
    return found


def facts(report: Report) -> Iterator[tuple[str, str]]:
    """List settings, versions and the machine, each as a name and words."""
    yield "started", report.environment.started
    yield from report.environment.hardware.items()
    yield from report.environment.versions.items()
    for field in fields(report.settings):
        value = getattr(report.settings, field.name)
        if field.name == "headers":
            value = ", ".join(value)  # their names alone: values may be secrets
        yield field.name, _words(value)
    yield "seed", str(report.seed)


def _words(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(_words(item) for item in value[:24]) + (" …" if len(value) > 24 else "")
    name = getattr(value, "name", None)
    return str(name) if isinstance(name, str) else str(value)
