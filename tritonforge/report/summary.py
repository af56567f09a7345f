"""What a report says at a glance, and what it was measured with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Literal

from tritonforge.load import ModelLoad, Report, Settings, Slo
from tritonforge.report.charts.numbers import compact, duration, moment, plain
from tritonforge.report.labels import label, labels

__all__ = ["Tile", "best_words", "facts", "knee_words", "little_words", "tiles"]

_AT_END = "the end of the range: the server may take more"


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
    troubles = _troubles(report)
    if not points:
        return troubles
    best = max(points, key=lambda point: point.throughput.value)
    fast = min(points, key=lambda point: point.latency.p50_us.value)
    found = [
        Tile("Most inferences a second", compact(best.throughput.value), f"at {label(best, points)}"),
        Tile("p99 there", duration(best.latency.p99_us.value), f"p50 {duration(best.latency.p50_us.value)}"),
        Tile("Least p50", duration(fast.latency.p50_us.value), f"at {label(fast, points)}"),
    ]
    if report.best is not None:
        note = report.best.kind + (f", {_AT_END}" if report.at_end else "")
        note += "" if report.complete else ", so far: the search was not finished"
        found.append(Tile("Greatest load that meets it", f"{report.best.value:g}", note, "good"))
    if report.knee is not None and not _unreached(report):
        found.append(Tile("Knee", f"{report.knee.value:g}", f"at {knee_words(report)}; the most throughput / latency"))
    elif (words := knee_words(report)) is not None:
        found.append(Tile("Knee", "not reached", words.partition(": ")[2]))
    judged = [point for point in report.points if point.slo_met is not None]
    if judged:
        met = sum(bool(point.slo_met) for point in judged)
        words = ", ".join(f"{slo.statistic} ≤ {duration(slo.limit_us)}" for slo in report.settings.slo)
        found.append(Tile("Loads within the objective", f"{met} of {len(judged)}", words, "good" if met else "bad"))
    return found + troubles


def _troubles(report: Report) -> list[Tile]:
    """Count what failed, and by itself, as the table of all loads does, what had no answer."""
    failed = sum(point.failed for point in report.points)
    unanswered = sum(point.unanswered for point in report.points)
    sent = sum(point.requests for point in report.points) + failed + unanswered
    note = f"of {compact(sent)} requests"
    errors = [Tile("Errors", compact(failed), note, "bad" if failed else "")] if sent else []
    return errors + ([Tile("No answer", compact(unanswered), note, "bad")] if unanswered else [])


def best_words(report: Report) -> str:
    """Name what a search found, and say where it is no limit of the server's, or not the last word."""
    so_far = "" if report.complete else " so far; the search was not finished"
    return f"{report.best or 'none'}{f', {_AT_END}' if report.at_end else ''}{so_far}"


def little_words(report: Report) -> list[str]:
    """Tell, for each closed loop, how many requests were under way on average: rate times mean latency."""
    found = []
    for point, name in zip(report.points, labels(report.points), strict=True):
        if point.load.kind == "concurrency" and point.requests:
            without = f", without the {point.failed:,} requests that failed" if point.failed else ""
            found.append(f"Little's law at {name}: rate × mean latency = {plain(point.in_flight)}{without}")
    return found


def knee_words(report: Report) -> str | None:
    """Name the knee of a sweep, or say that its loads don't reach that far; None where there are too few."""
    if report.knee is None:
        return None
    # Of two protocols it is that of the first, whose sweep it was.
    where = next((label(point, report.points) for point in report.points if point.load == report.knee), report.knee)
    return f"not reached: throughput / latency still rises at {where}" if _unreached(report) else str(where)


def _unreached(report: Report) -> bool:
    """Tell whether the knee is the greatest load: what is past it wasn't measured."""
    return report.knee is not None and report.knee.value >= max(point.load.value for point in report.points)


def facts(report: Report) -> Iterator[tuple[str, str]]:
    """List what was sent, the settings that had an effect, versions and the machine, each as a name and words."""
    settings = report.settings
    yield "started", moment(report.environment.started)
    for model in settings.models:
        yield f"sent to {model.name}", _sent(model, len(settings.models) > 1)
    yield "protocol", ", ".join(dict.fromkeys(point.protocol for point in report.points)) or settings.protocol
    idle = _idle(settings)
    for field in fields(settings):
        value = getattr(settings, field.name)
        if field.name == "headers":
            value = tuple(value)  # their names alone: values may be secrets
        if field.name == "parameters":
            value = tuple(f"{name}={each}" for name, each in value.items())
        if field.name != "models" and field.name not in idle and value not in (None, (), ""):
            yield field.name, _words(value)
    for name, words in report.environment.hardware.items():
        size, _, unit = words.partition(" ")
        yield name, f"{int(size) / (1 << 20):.1f} GiB" if unit == "kB" and size.isdigit() else words
    yield from report.environment.versions.items()


def _sent(model: ModelLoad, mixed: bool) -> str:
    if model.request is not None:
        return f"{model.request.method} {model.request.path}"
    data = model.data
    parts = (
        data.source,
        f"batch size {model.batch_size}",
        f"version {model.version}" if model.version else "",
        f"weight {model.weight:g}" if mixed else "",
        f"sequences of {model.sequence_length}" if model.sequence_length else "",
        f"{data.payloads} payloads" if data.source == "random" else "",
        *(f"{name}={','.join(map(str, sizes))}" for name, sizes in data.shapes.items()),
        f"answers checked within {data.tolerance:g}" if data.check or data.golden else "",
    )
    return ", ".join(filter(None, parts))


def _idle(settings: Settings) -> set[str]:
    """Name the settings that say nothing of such a load."""
    kinds = {load.kind for load in settings.loads}
    drawn, given = "rate" in kinds, bool(kinds & {"schedule", "replay"})
    counted = settings.duration_s is not None or settings.requests is not None or given
    used = {
        "arrivals": drawn,
        "burst": drawn,
        "gamma_shape": drawn and settings.arrivals == "gamma",
        "repeat_s": given,
        "ramp_s": not given,
        "max_in_flight": drawn or given,
        "body": settings.protocol == "http",
        "max_windows": not counted,
        "stability": not counted or settings.window_s is not None,
        "stable_windows": not counted or settings.window_s is not None,
    }
    return {name for name, effective in used.items() if not effective}


def _words(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(_words(item) for item in value[:24]) + (" …" if len(value) > 24 else "")
    return f"{value.statistic} ≤ {duration(value.limit_us)}" if isinstance(value, Slo) else str(value)
