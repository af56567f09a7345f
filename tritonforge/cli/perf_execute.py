"""A scenario measured, shown, written and judged."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import typer

from tritonforge.cli.perf_misuse import ENDED_EARLY, MISUSED, misused, say_unwritten
from tritonforge.cli.perf_stderr import say
from tritonforge.cli.perf_stdout import has_a_file, printed
from tritonforge.errors import TritonForgeError

if TYPE_CHECKING:
    from tritonforge.cli.perf_ending import Ending
    from tritonforge.load import Point, ProfileExport, Report, SweepInterrupted, SweepStopped
    from tritonforge.report import Comparison, Table
    from tritonforge.report.places import Input, Output
    from tritonforge.report.scenario import Scenario

__all__ = ["execute", "outputs_of"]

_ERRORS = "1%"
_MET, _FAILED, _UNSTABLE = 0, 1, 3
_LARGE = 8 << 20


def execute(
    scenario: Scenario,
    end: Ending,
    *,
    also: Mapping[str, Path] = MappingProxyType({}),
    reads: Sequence[Input] = (),
    label: str = "",
) -> int:
    """Measure a scenario, print and write what it asks for, and give the exit code.

    `also` are files beside those that it names, by their kind; `reads` those that are read beside its own. `label` is
    what it is called in a log of several.
    """
    from tritonforge.cli.perf_compare import show_comparison
    from tritonforge.load import ProfileExport
    from tritonforge.report import Rules, compare_reports
    from tritonforge.report.compare import check_loads, check_models
    from tritonforge.report.options import parse_share
    from tritonforge.report.places import check_places
    from tritonforge.report.refusals import comes_of_refusals

    with misused():
        limit = parse_share("max_regression", scenario.max_regression) if scenario.max_regression else None
        errors = parse_share("max_errors", scenario.max_errors or _ERRORS, all_too=True)
        baseline = _baseline(scenario.baseline) if scenario.baseline else None
        if baseline is not None:
            names = (str(scenario.baseline), "this run")
            settings = scenario.settings("http://127.0.0.1")
            check_models(baseline.settings, settings, names)
            if not scenario.find_max:
                check_loads(baseline, settings, names)
        outputs = outputs_of(scenario, also)
        check_places(outputs, [*scenario.inputs, *reads])
        aside = has_a_file(path for _, _, path in outputs)
        files = _files(scenario, also)
        export = ProfileExport(scenario.profile_export) if scenario.profile_export else None
        report, stopped = _measure(scenario, export, end, label)
        end.settle()
        written, unwritten = _write(report, files, export)
        with printed(aside=aside):
            _show(report, scenario, written)
        if stopped is not None:
            until = "all was measured by then" if report.complete else "the figures are of what was measured until then"
            say(f"{stopped}; {until}")
            if comes_of_refusals(stopped):
                return _FAILED
            return end.code if isinstance(stopped, KeyboardInterrupt) else ENDED_EARLY
        comparison = None
        if baseline is not None:
            rules = Rules(max_regression=limit, max_errors=errors, strict=scenario.strict)
            comparison = compare_reports(baseline, report, names=names, rules=rules)
            with printed(aside=aside):
                show_comparison(comparison)
    failing = [] if scenario.find_max else _failing(report, errors)
    with printed(aside=aside):
        for words in failing:
            typer.echo(f"{words}, more than --max-errors {scenario.max_errors or _ERRORS}")
        for words in _wrong(report):
            typer.echo(f"{words}: any is too many, whatever --max-errors allows")
    code = _FAILED if failing else _judge(report, scenario, comparison)
    return MISUSED if unwritten and code != _FAILED else code


def _measure(
    scenario: Scenario, export: ProfileExport | None, end: Ending, label: str
) -> tuple[Report, SweepStopped | SweepInterrupted | None]:
    """Give what was measured, and what ended it before its last load, or amid what follows that, if anything did."""
    from tritonforge.cli.perf_live import showing
    from tritonforge.load import SweepInterrupted, SweepStopped
    from tritonforge.report.sweep import sweep

    found: list[Report] = []
    try:
        with showing(label) as live, export or nullcontext():
            if _takes_long_to_read(Path(scenario.data)):
                live.warn(f"{scenario.data}: a request is prepared of each row before the load begins …")

            def window(point: Point) -> None:
                end.measured = True
                end.go_on()
                live.window(point)

            found.append(sweep(scenario, on_window=window, on_point=live.point, warn=live.warn, export=export))
            end.go_on()
    except (SweepStopped, SweepInterrupted) as early:
        return early.report, early
    except KeyboardInterrupt as error:  # while the export is closed, or in the end of the sweep
        if not found:
            raise
        return found[0], SweepInterrupted(str(error) or "interrupted", found[0])
    except OSError as error:
        if export is None or error is not export.failure:
            raise
    return found[0], None


def _baseline(path: Path) -> Report:
    from tritonforge.report import read_report
    from tritonforge.report.options import BadOption

    try:
        return read_report(path)
    except OSError as error:
        raise BadOption("baseline", f"{path}: {error.strerror or error}") from error


def outputs_of(scenario: Scenario, also: Mapping[str, Path]) -> list[Output]:
    """Name all that may be written, a CSV for each protocol among it."""
    from tritonforge.report.files import files_of

    exported = [("profile_export", "profile_export", scenario.profile_export)] if scenario.profile_export else []
    each = [
        (option, kind, file)
        for option, kind, path in _files(scenario, also)
        for file in files_of(path, kind, scenario.protocols)
    ]
    return each + exported


def _files(scenario: Scenario, also: Mapping[str, Path]) -> list[Output]:
    """Give the options, kinds and paths of what is to be written; what both name is written once."""
    own = [(kind, kind, path) for kind, path in scenario.outputs.items()]
    named = {(kind, os.path.realpath(path)) for kind, _, path in own}
    more = [("output", kind, path) for kind, path in also.items() if (kind, os.path.realpath(path)) not in named]
    return own + more


def _write(report: Report, files: Sequence[Output], export: ProfileExport | None) -> tuple[list[Path], list[Path]]:
    """Write what is asked for, each whatever becomes of the others; give what could be, and what couldn't."""
    from tritonforge.report import write_report

    written: list[Path] = []
    unwritten: list[Path] = []
    for option, kind, path in files:
        try:
            written += write_report(report, path, kind)
        except (TritonForgeError, OSError, ValueError) as error:
            say_unwritten(option, path, error)
            unwritten.append(path)
    if export is not None:
        if export.written:
            written.append(export.path)
        if export.failure is not None:
            say(f"--profile-export: {export.path} is not written: {export.failure}")
            unwritten.append(export.path)
    return written, unwritten


def _show(report: Report, scenario: Scenario, written: Sequence[Path]) -> None:
    from tritonforge.report import point_table, text_table, warnings_of
    from tritonforge.report.summary import best_words, knee_words, little_words

    typer.echo(text_table(point_table(report.points)))
    for title, table in _details(report):
        typer.echo(f"\n{title}")
        typer.echo(text_table(table))
    typer.echo("")
    for line in little_words(report):
        typer.echo(line)
    for warning in warnings_of(report):
        typer.echo(f"warning: {warning}")
    if scenario.find_max:
        typer.echo(f"greatest load that meets {scenario.slo}: {best_words(report)}")
    elif words := knee_words(report):
        typer.echo(f"knee: {words}")
    for path in written:
        typer.echo(f"wrote {path}")


def _details(report: Report) -> Iterator[tuple[str, Table]]:
    """Give the tables that have rows, each with its title."""
    from tritonforge.report import batch_table, breakdown_table, process_table, server_table, stream_table

    points = [point for point in report.points if point.requests]
    for title, table in (
        ("within streams", stream_table(points)),
        ("where the mean latency goes", breakdown_table(points)),
        ("inside the server, means for a request", server_table(points)),
        ("shares of the executions by their batch sizes", batch_table(points)),
        ("the server's processes", process_table(points)),
    ):
        if table.rows and points:
            yield title, table


def _failing(report: Report, limit: float) -> list[str]:
    """Say of which loads a greater share of the requests failed, or had no answer."""
    from tritonforge.report.charts.numbers import percent
    from tritonforge.report.compare import failed_share
    from tritonforge.report.labels import labels

    found = []
    for point, label in zip(report.points, labels(report.points), strict=True):
        share = failed_share([point])
        if share > limit:
            words = "failed or had no answer" if point.unanswered else "failed"
            found.append(f"{label}: {percent(share).removeprefix('+')} of the requests {words}")
    return found


def _takes_long_to_read(data: Path) -> bool:
    """Tell whether the rows of a file take some seconds to be made requests, as 100,000 of 20 numbers do."""
    return data.is_file() and data.stat().st_size > _LARGE


def _wrong(report: Report) -> list[str]:
    """Say at which loads answers were wrong."""
    from tritonforge.load.input.answers import WRONG
    from tritonforge.report.labels import labels

    found = []
    for point, label in zip(report.points, labels(report.points), strict=True):
        if count := sum(error.count for error in point.errors if error.kind == WRONG):
            found.append(f"{label}: {count:,} wrong answer{'s'[: count != 1]}")
    return found


def _judge(report: Report, scenario: Scenario, comparison: Comparison | None) -> int:
    points = report.points
    failed = (
        any(not point.requests or (point.silent and not scenario.find_max) for point in points),
        comparison is not None and comparison.regressions,
        bool(_wrong(report)),
        report.best is None if scenario.find_max else any(point.slo_met is False for point in points),
    )
    if any(failed):
        return _FAILED
    if comparison is not None and (comparison.undecided or comparison.unjudged):
        return _UNSTABLE
    # A search goes to where it isn't stable any more.
    return _MET if scenario.find_max or all(point.stable is not False for point in points) else _UNSTABLE
