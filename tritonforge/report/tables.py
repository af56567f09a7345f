"""The figures of a report as rows of words: for the terminal, a pull request, and the page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tritonforge.load import Estimate, Point, Report
from tritonforge.report.charts.numbers import compact, duration, percent
from tritonforge.report.failing import line, ways_of_failing
from tritonforge.report.labels import labels
from tritonforge.report.verdicts import Comparison, FigureChange, PointChange, Verdict

__all__ = [
    "Table",
    "breakdown_table",
    "comparison_table",
    "markdown",
    "nothing_ended",
    "point_table",
    "process_table",
    "stream_table",
    "text_table",
    "warnings_of",
]

_FOR_P999 = 1000
_FEW = (
    "few requests: p99.9 needs 1,000, p99 100, p95 20 and p90 10; of fewer it is the slowest one's latency, or nearly"
)
_FIGURE = re.compile(r"(?<![\w.])\d[\d.,]*(?: ?(?:%|µs|us|ms|s))?(?!\w)")
_ALIKE = 3
"""So many warnings are written that differ in their figures alone."""
_SIGNS: dict[Verdict, str] = {
    "same": "same",
    "better": "better",
    "worse": "**worse**",
    "unsure": "unsure",
    "failing": "**failing**",
    "not judged": "not judged",
    "not measured": "not measured",
}


@dataclass(frozen=True, slots=True)
class Table:
    """Names of columns, and rows of as many words; the first `words` columns are words, the others figures."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1


def point_table(points: Sequence[Point]) -> Table:
    """Give a row for each load; columns that say nothing anywhere are left out."""
    rows = [_point_row(point, label) for point, label in zip(points, labels(points), strict=True)]
    optional = {"goodput/s", "errors", "no answer", "SLO", "note"}
    names = [name for name in (rows[0] if rows else {}) if name not in optional or any(row[name] for row in rows)]
    return Table(tuple(names), tuple(tuple(row[name] or "–" for name in names) for row in rows))


def _point_row(point: Point, label: str) -> dict[str, str]:
    latency, measured = point.latency, bool(point.requests)
    times = {
        "mean": latency.mean_us,
        "p50": latency.p50_us,
        "p90": latency.p90_us,
        "p95": latency.p95_us,
        "p99": latency.p99_us,
        "p99.9": latency.p999_us,
    }
    return {
        "load": label,
        "inferences/s": _with_interval(point.throughput) if measured else "",
        **{name: duration(time.value) if measured else "" for name, time in times.items()},
        "goodput/s": _with_interval(point.goodput) if point.goodput and measured else "",
        "errors": f"{point.failed:,}" if point.failed else "",
        "no answer": f"{point.unanswered:,}" if point.unanswered else "",
        "SLO": "" if point.slo_met is None else "met" if point.slo_met else _missed(point),
        "note": _note(point),
    }


def _note(point: Point) -> str:
    if not point.requests:
        return "nothing measured"
    stable = "ended early" if point.ended_by else "unstable" if point.stable is False else ""
    short = f"short: {point.requests:,} of {point.short_of:,} due" if point.short_of else ""
    return ", ".join(filter(None, (stable, short)))


def _missed(point: Point) -> str:
    return f"missed {', '.join(point.slo_missed)}".rstrip()


def _with_interval(estimate: Estimate) -> str:
    if estimate.half is None:
        return compact(estimate.value)
    return f"{compact(estimate.value)} ± {compact(estimate.half)}"


def breakdown_table(points: Sequence[Point]) -> Table:
    """Give where the mean latency goes: a row for each step, from the client to the last one in the server."""
    points = [point for point in points if point.breakdown]
    if not points:
        return Table((), ())
    names = dict.fromkeys(step.name for point in points for step in point.breakdown)
    found = [{step.name: step.mean_us for step in point.breakdown} for point in points]
    rows = [(name, *(_share(steps.get(name), sum(steps.values())) for steps in found)) for name in names]
    total = ("all", *(duration(sum(steps.values())) for steps in found))
    return Table(("step", *labels(points)), (*rows, total))


def _share(value: float | None, whole: float) -> str:
    return "–" if value is None else f"{duration(value)} {value / whole:4.0%}" if whole else duration(value)


def process_table(points: Sequence[Point]) -> Table:
    """Give what the server's processes took, where they run on this machine; GPU columns where there is one."""
    known = [(label, point.processes) for point, label in zip(points, labels(points), strict=True) if point.processes]
    graphical = any(used.gpu_memory_bytes is not None for _, used in known)
    columns = ("load", "processes", "CPU cores", "memory", "/dev/shm", *(("GPU", "GPU memory") if graphical else ()))
    rows = []
    for label, used in known:
        cores = f"{used.cpu_cores:.2f}" if used.cpu_known else "–"
        row = [label, str(used.processes), cores, _mib(used.memory_bytes), _mib(used.shm_bytes)]
        if graphical:
            row += [
                "–" if used.gpu_utilization is None else f"{used.gpu_utilization:.0%}",
                "–" if used.gpu_memory_bytes is None else _mib(used.gpu_memory_bytes),
            ]
        rows.append(tuple(row))
    return Table(columns, tuple(rows))


def _mib(size: int) -> str:
    return f"{size / (1 << 20):,.1f} MiB"


def stream_table(points: Sequence[Point]) -> Table:
    """Give the times within streams: until the first response, between two, and until the last."""
    rows = []
    for point, label in zip(points, labels(points), strict=True):
        for name, times in (
            ("first response", point.first_response),
            ("between responses", point.between_responses),
            ("whole", point.latency if point.first_response else None),
        ):
            if times is not None:
                found = (times.mean_us, times.p50_us, times.p90_us, times.p95_us, times.p99_us, times.p999_us)
                rows.append((label, name, f"{times.count:,}", *(duration(each.value) for each in found)))
    return Table(("load", "time", "count", "mean", "p50", "p90", "p95", "p99", "p99.9"), tuple(rows), words=2)


def comparison_table(comparison: Comparison, *, bold: bool = False) -> Table:
    """Give a row for each load and figure, with its ratio, the interval, and the verdict."""
    share = f"{comparison.rules.confidence:.0%}"
    rows = tuple(
        row for point in comparison.points for row in _comparison_rows(point, comparison.rules.same_within, bold)
    )
    return Table(("load", "figure", "base", "new", f"new / base ({share} together)", "verdict"), rows, words=2)


def _comparison_rows(point: PointChange, within: float, bold: bool) -> Iterable[tuple[str, ...]]:
    rows = [
        (
            change.figure.label,
            *("–" if change.contradicted(within) else _figure(change, side) for side in (change.base, change.new)),
            ratio_words(change),
            _SIGNS[change.verdict] if bold else change.verdict,
        )
        for change in point.figures
    ]
    if max(point.failed) > point.max_errors:
        shares = (f"{share * 100:.1f} %" for share in point.failed)
        rows.insert(0, ("failed requests", *shares, "–", _SIGNS[point.verdict] if bold else point.verdict))
    elif not rows:
        rows = [("nothing measured", "–", "–", "–", point.verdict)]
    for index, row in enumerate(rows):
        yield (point.label if index == 0 else "", *row)


def ratio_words(change: FigureChange) -> str:
    """Write a ratio with its interval: 1.104 (1.08 … 1.13), +10.4 %."""
    ratio = change.ratio
    reach = f"{ratio.low:.3f} … {ratio.high:.3f}" if ratio.told else "too few windows for how they vary"
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
    named = list(zip(report.points, labels(report.points), strict=True))
    errors: Counter[str] = Counter()
    for point, _ in named:
        errors.update(ways_of_failing(point))
    for point, label in named:  # what failed explains the rest
        for name in ways_of_failing(point):
            told.setdefault(f"{errors[name]:,} × {name}{_failing_models(report.points, name)}", []).append(label)
    failures = set(told)  # whose figures tell
    for point, label in named:
        for warning in _open_at_end(point):
            told.setdefault(warning, []).append(label)
        if not point.requests:
            told.setdefault(f"nothing was measured: {nothing_ended([point])}", []).append(label)
        elif point.latency.count < _FOR_P999:
            told.setdefault(_FEW, []).append(label)
        for warning in point.generator.warnings:
            told.setdefault(warning, []).append(label)
        if point.ended_by:
            told.setdefault(f"ended early: {line(point.ended_by)}", []).append(label)
        elif point.requests and point.stable is False:
            told.setdefault("not stable: the windows differ by more than the stability allows", []).append(label)
    alike: dict[str, list[str]] = {}
    for warning in told:
        alike.setdefault(warning if warning in failures else _FIGURE.sub("", warning), []).append(warning)
    return [words for kind in alike.values() for words in _told_of_kind(kind, told, len(report.points))]


def _told_of_kind(warnings: Sequence[str], told: Mapping[str, list[str]], points: int) -> Iterator[str]:
    """Write warnings that differ in their figures alone; of many, the first stands for all."""
    shown = warnings if len(warnings) <= _ALIKE else warnings[:1]
    others = list(dict.fromkeys(load for warning in warnings[len(shown) :] for load in told[warning]))
    for warning in shown:
        more = f" (and with other figures: {_where(others, points)})" if others else ""
        yield f"{_where(told[warning], points)}: {warning}{more}"


def _failing_models(points: Sequence[Point], name: str) -> str:
    """Name the models of a mix whose requests failed so, those first that failed most."""
    models: Counter[str] = Counter()
    for point in points:
        for error in point.errors:
            if name == line(f"{error.kind}: {error.example}").rstrip(": "):
                models.update(error.models)
    told = [model if len(models) == 1 else f"{model} {count:,}" for model, count in models.most_common()]
    return f" ({line(', '.join(told))})" if told else ""


def _open_at_end(point: Point) -> Iterator[str]:
    """Say what became of the requests under way at the end of the windows, where they are no ordinary ones."""
    if point.unanswered:
        which = f"request{'s'[: point.unanswered != 1]} had no answer at the end, the oldest"
        yield f"{point.unanswered:,} {which} for {duration(point.unanswered_s * 1e6)}"
    if point.silent:
        yield "the server stopped answering: none of the requests under way at the end had an answer"
    for statistic, count in point.overdue.items():
        which, judged = ("request", "counts as a miss") if count == 1 else ("requests", "count as misses")
        yield f"{count:,} {which} under way at the windows' end had taken longer than {statistic} may, and {judged}"


def nothing_ended(points: Sequence[Point]) -> str:
    """Say what no request did where nothing was measured."""
    return f"no request {'succeeded' if any(point.failed for point in points) else 'ended'} within a window"


def _where(loads: list[str], points: int) -> str:
    if len(loads) == points > 1:
        return "all loads"
    return ", ".join(loads[:4]) + (f" and {len(loads) - 4} more" if len(loads) > 4 else "")
