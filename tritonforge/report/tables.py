"""The figures of a report as rows of words: for the terminal, a pull request, and the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tritonforge.load import Estimate, Point, Report
from tritonforge.report.charts.numbers import compact, duration, percent, plain
from tritonforge.report.labels import labels
from tritonforge.report.verdicts import Comparison, FigureChange, Verdict

__all__ = ["Table", "comparison_table", "markdown", "point_table", "server_table", "text_table", "warnings_of"]

_SIGNS: dict[Verdict, str] = {"same": "same", "better": "better", "worse": "**worse**", "unsure": "unsure"}


@dataclass(frozen=True, slots=True)
class Table:
    """Names of columns, and rows of as many words; the first `words` columns are words, the others figures."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1


def point_table(points: Sequence[Point]) -> Table:
    """Give a row for each load; columns that say nothing anywhere are left out."""
    rows = [_point_row(point, label) for point, label in zip(points, labels(points), strict=True)]
    optional = {"goodput/s", "errors", "SLO", "note"}
    names = [name for name in (rows[0] if rows else {}) if name not in optional or any(row[name] for row in rows)]
    return Table(tuple(names), tuple(tuple(row[name] or "–" for name in names) for row in rows))


def _point_row(point: Point, label: str) -> dict[str, str]:
    latency = point.latency
    return {
        "load": label,
        "inferences/s": _with_interval(point.throughput),
        "mean": duration(latency.mean_us.value),
        "p50": duration(latency.p50_us.value),
        "p90": duration(latency.p90_us.value),
        "p95": duration(latency.p95_us.value),
        "p99": duration(latency.p99_us.value),
        "p99.9": duration(latency.p999_us.value),
        "goodput/s": _with_interval(point.goodput) if point.goodput else "",
        "errors": f"{point.failed:,}" if point.failed else "",
        "SLO": "" if point.slo_met is None else ("met" if point.slo_met else "missed"),
        "note": "" if point.stable else "unstable",
    }


def _with_interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return compact(estimate.value)
    return f"{compact(estimate.value)} ± {compact((estimate.high - estimate.low) / 2)}"


def server_table(points: Sequence[Point]) -> Table:
    """Give the server's own figures: a row for each load and model, steps of an ensemble beneath it."""
    columns = ("load", "model", "requests", "executions", "mean batch", "queue", "input", "infer", "output", "overhead")
    rows = tuple(
        (
            label if index == 0 else "",
            f"{'· ' if model.composing else ''}{model.model}",
            f"{model.requests:,}",
            f"{model.executions:,}",
            plain(model.mean_batch),
            duration(model.queue_us),
            duration(model.compute_input_us),
            duration(model.compute_infer_us),
            duration(model.compute_output_us),
            duration(model.overhead_us),
        )
        for point, label in zip(points, labels(points), strict=True)
        for index, model in enumerate(point.server)
    )
    return Table(columns, rows, words=2)


def comparison_table(comparison: Comparison, *, bold: bool = False) -> Table:
    """Give a row for each load and figure, with its ratio, the interval, and the verdict."""
    share = f"{comparison.rules.confidence:.0%}"
    rows = tuple(
        (
            point.label if index == 0 else "",
            change.figure.label,
            _figure(change, change.base),
            _figure(change, change.new),
            ratio_words(change),
            _SIGNS[change.verdict] if bold else change.verdict,
        )
        for point in comparison.points
        for index, change in enumerate(point.figures)
    )
    return Table(("load", "figure", "base", "new", f"new / base ({share} together)", "verdict"), rows, words=2)


def ratio_words(change: FigureChange) -> str:
    """Write a ratio with its interval: 1.104 (1.08 … 1.13), +10.4 %."""
    ratio = change.ratio
    reach = f"{ratio.low:.3f} … {ratio.high:.3f}" if ratio.low > 0 else "too few windows"
    return f"{ratio.estimate:.3f} ({reach}), {percent(ratio.estimate - 1)}"


def _figure(change: FigureChange, value: float) -> str:
    return duration(value) if change.figure.unit == "µs" else f"{compact(value)}{change.figure.unit}"


def markdown(table: Table) -> str:
    """Write a table for a pull request."""
    lines = [_markdown_row(table.columns), "|" + "---|" * table.words + "---:|" * (len(table.columns) - table.words)]
    return "\n".join([*lines, *(_markdown_row(row) for row in table.rows)])


def _markdown_row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def text_table(table: Table) -> str:
    """Write a table in columns of spaces."""
    rows = [table.columns, *table.rows]
    widths = [max(len(row[index]) for row in rows) for index in range(len(table.columns))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if index < table.words else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def warnings_of(report: Report) -> list[str]:
    """List what stands beside the figures: the generator's limits, errors, instability; once for each kind."""
    told: dict[str, list[str]] = {}
    for point, label in zip(report.points, labels(report.points), strict=True):
        for warning in point.generator.warnings:
            told.setdefault(warning, []).append(label)
        for error in point.errors:
            told.setdefault(f"{error.kind}: {error.example}".rstrip(": "), []).append(label)
        if not point.stable:
            told.setdefault("not stable: the windows differ by more than the stability allows", []).append(label)
    return [f"{_where(loads, len(report.points))}: {warning}" for warning, loads in told.items()]


def _where(loads: list[str], points: int) -> str:
    if len(loads) == points > 1:
        return "all loads"
    return ", ".join(loads[:4]) + (f" and {len(loads) - 4} more" if len(loads) > 4 else "")
