"""A scenario measured, shown, written and judged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from tritonforge.errors import TritonForgeError

if TYPE_CHECKING:
    from tritonforge.load import Report
    from tritonforge.report import Comparison
    from tritonforge.report.scenario import Scenario

__all__ = ["execute", "misused"]

_MET, _FAILED, _MISUSED, _UNSTABLE = 0, 1, 2, 3


def execute(scenario: Scenario) -> int:
    """Measure a scenario, print and write what it asks for, and give the exit code."""
    from tritonforge.cli.perf_compare import parse_share, show_comparison
    from tritonforge.cli.perf_live import showing
    from tritonforge.report import Rules, compare_reports, read_report, write_report
    from tritonforge.report.sweep import sweep

    with misused():
        limit = parse_share("max_regression", scenario.max_regression) if scenario.max_regression else None
        baseline = read_report(scenario.baseline) if scenario.baseline else None
        with showing() as live:
            report = sweep(scenario, on_window=live.window, on_point=live.point, warn=live.warn)
        for kind, path in scenario.outputs.items():
            write_report(report, path, kind)
        _show(report, scenario)
        comparison = None
        if baseline is not None:
            names = (str(scenario.baseline), "this run")
            comparison = compare_reports(baseline, report, names=names, rules=Rules(max_regression=limit))
            show_comparison(comparison)
    return _judge(report, scenario, comparison)


@contextmanager
def misused() -> Iterator[None]:
    """End with exit code 2, and the error's words, where nothing could be measured."""
    try:
        yield
    except (TritonForgeError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(_MISUSED) from error


def _show(report: Report, scenario: Scenario) -> None:
    from tritonforge.report import point_table, server_table, text_table, warnings_of
    from tritonforge.report.charts.numbers import plain
    from tritonforge.report.labels import labels

    typer.echo(text_table(point_table(report.points)))
    if any(point.server for point in report.points):
        typer.echo("\ninside the server, means for a request")
        typer.echo(text_table(server_table(report.points)))
    typer.echo("")
    for point, label in zip(report.points, labels(report.points), strict=True):
        if point.load.kind == "concurrency" and point.requests:
            typer.echo(f"Little's law at {label}: rate × mean latency = {plain(point.in_flight)}")
    for warning in warnings_of(report):
        typer.echo(f"warning: {warning}")
    if scenario.find_max:
        typer.echo(f"greatest load that meets {scenario.slo}: {report.best or 'none'}")
    elif report.knee is not None:
        typer.echo(f"knee: {report.knee}")
    for path in scenario.outputs.values():
        typer.echo(f"wrote {path}")


def _judge(report: Report, scenario: Scenario, comparison: Comparison | None) -> int:
    points = report.points
    if any(not point.requests for point in points) or (comparison is not None and comparison.regressions):
        return _FAILED
    if scenario.find_max:
        return _MET if report.best is not None else _FAILED
    if any(point.slo_met is False for point in points):
        return _FAILED
    return _MET if all(point.stable for point in points) else _UNSTABLE
