"""`tritonforge perf compare`: better or worse, from saved reports or from live servers that take turns."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tritonforge.cli.perf_ending import Ending, ending
from tritonforge.cli.perf_misuse import ENDED_EARLY, MISUSED, say_unwritten
from tritonforge.cli.perf_stderr import say
from tritonforge.cli.perf_stdout import has_a_file, printed

if TYPE_CHECKING:
    from tritonforge.load import Load
    from tritonforge.report import Comparison, Rules
    from tritonforge.report.places import Output
    from tritonforge.report.scenario import Scenario

__all__ = ["compare", "judge", "show_comparison"]

_ASKED = ("model", "concurrency", "rate", "pairs", "window", "batch_size", "data", "shape", "seed", "body")
_LIVE = (*_ASKED, "key_file", "header", "request_parameter", "timeout", "ca", "certificate", "key", "server_name")
"""Options that say nothing of saved reports."""
_LEAST_SURE = 0.5
_ALONE = Path("-")
"""Where --markdown goes to standard output, without the tables."""
_REGRESSED, _UNDECIDED = 1, 3


def compare(
    context: typer.Context,
    base: Annotated[str, typer.Argument(help="A saved report (--json), or a live server's URL.", show_default=False)],
    new: Annotated[list[str], typer.Argument(help="The same kind, one or several.", show_default=False)],
    model: Annotated[str | None, typer.Option(help="Of live servers: the model, the same in each.")] = None,
    concurrency: Annotated[str | None, typer.Option(help="Of live servers: requests in flight.")] = None,
    rate: Annotated[str | None, typer.Option(help="Of live servers: requests a second.")] = None,
    pairs: Annotated[int, typer.Option(min=1, help="Of live servers: windows of each, for each load.")] = 40,
    window: Annotated[float, typer.Option(min=0.05, help="Of live servers: seconds of a window.")] = 0.5,
    batch_size: Annotated[int, typer.Option("--batch-size", "-b", min=1)] = 1,
    data: Annotated[str, typer.Option(help="As of measure.")] = "random",
    shape: Annotated[list[str] | None, typer.Option(help="As of measure.")] = None,
    body: Annotated[Literal["binary", "json"] | None, typer.Option(help="As of measure.")] = None,
    key_file: Annotated[Path | None, typer.Option(help="As of measure, the same for each.")] = None,
    header: Annotated[list[str] | None, typer.Option("--header", "-H", help="As of measure.")] = None,
    request_parameter: Annotated[list[str] | None, typer.Option(help="As of measure.")] = None,
    timeout: Annotated[float | None, typer.Option(help="As of measure.")] = None,
    ca: Annotated[Path | None, typer.Option(help="As of measure.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="As of measure.")] = None,
    key: Annotated[Path | None, typer.Option(help="As of measure.")] = None,
    server_name: Annotated[str | None, typer.Option(help="As of measure.")] = None,
    max_regression: Annotated[
        str | None, typer.Option(help="Exit 1 where one is significantly worse by more than this: 5%.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 3 unless one beyond --max-regression is ruled out.")
    ] = False,
    max_errors: Annotated[str, typer.Option(help="Exit 1 if more of a load's requests failed, of NEW.")] = "1%",
    same_within: Annotated[str, typer.Option(help="The same: surely no more different than this.")] = "3%",
    confidence: Annotated[str, typer.Option(help="Of all verdicts of a comparison together.")] = "99%",
    seed: Annotated[int, typer.Option(help="Draws who goes first in each pair.")] = 0,
    markdown: Annotated[Path | None, typer.Option(help="Write it for a pull request too; - prints that alone.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write ratios, intervals, verdicts and settings too.")] = None,
) -> None:
    """Compare servers point by point: the ratio, its interval, and same, better, worse or unsure.

    What drifts on the machine between two saved reports is in neither; live servers are measured in windows that take
    turns. Exits with 1 where one is shown to be worse by more than --max-regression, or fails more than --max-errors
    of a load's requests, with 2 where it is misused, and with 3 where one looks worse and isn't sure to be, or a load
    can't be judged, as nothing succeeded, or too much failed of BASE.
    """
    with ending() as end:
        with end.importing():
            import tritonforge.report.sweep  # noqa: F401  with it, all that measures
            from tritonforge.cli.perf_misuse import misused
            from tritonforge.report import Rules
            from tritonforge.report.options import BadOption, parse_share
            from tritonforge.report.places import check_places
            from tritonforge.report.rounds import CompareInterrupted, CompareStopped
            from tritonforge.report.scenario import Scenario

        with misused():
            limit = None if max_regression is None else parse_share("max_regression", max_regression)
            sure = parse_share("confidence", confidence)
            if sure < _LEAST_SURE:
                wanted = f"wanted {_LEAST_SURE:.0%} to below 100%"
                raise BadOption("confidence", f"{confidence!r} is no surer than a coin's throw; {wanted}")
            if strict and limit is None:
                raise BadOption("strict", "it says nothing without --max-regression")
            errors = parse_share("max_errors", max_errors, all_too=True)
            rules = Rules(sure, parse_share("same_within", same_within), limit, errors, strict)
            files = (("markdown", "markdown", None if markdown == _ALONE else markdown), ("json", "comparison", json))
            written = [(option, kind, file) for option, kind, file in files if file is not None]
            if not _are_live(base, new):
                _check_unused(context)
                check_places(written, [("BASE", Path(base)), *(("NEW", Path(side)) for side in new)])
                comparisons = _saved(Path(base), [Path(side) for side in new], rules)
            else:
                if model is None:
                    raise typer.BadParameter("live servers need the model's name", param_hint="--model")
                scenario = Scenario(
                    model, url=(base, *new), concurrency=concurrency, rate=rate, window=window, batch_size=batch_size,
                    data=data, shape=tuple(shape or ()), body=body, header=tuple(header or ()), timeout=timeout,
                    key_file=key_file, request_parameter=tuple(request_parameter or ()), ca=ca,
                    certificate=certificate, key=key, server_name=server_name, seed=seed if data == "random" else None,
                )  # fmt: skip
                check_places(written, scenario.inputs)
                try:
                    comparisons = _live(scenario, pairs, seed, rules, end)
                except (CompareStopped, CompareInterrupted) as early:
                    end.settle()
                    _render(early.comparisons, written, alone=markdown == _ALONE)
                    say(f"{early}; the figures are of the rounds until then")
                    raise typer.Exit(end.code if isinstance(early, KeyboardInterrupt) else ENDED_EARLY) from early
        end.settle()
        whole = _render(comparisons, written, alone=markdown == _ALONE)
    code = judge(comparisons)
    raise typer.Exit(code if whole or code == _REGRESSED else MISUSED)


def _are_live(base: str, new: Sequence[str]) -> bool:
    """Tell whether servers are compared; raise BadParameter where reports are among them."""
    live = ["://" in side for side in (base, *new)]
    if any(live) and not all(live):
        raise typer.BadParameter("give URLs alone, or reports alone", param_hint="BASE NEW…")
    return any(live)


def _check_unused(context: typer.Context) -> None:
    """Raise BadParameter for an option that says nothing of saved reports."""
    for name in _LIVE:
        source = context.get_parameter_source(name)
        if source is not None and source.name != "DEFAULT":
            hint = "it says nothing without live servers' URLs: saved reports are compared as they are"
            raise typer.BadParameter(hint, param_hint=f"--{name.replace('_', '-')}")


def judge(comparisons: Sequence[Comparison]) -> int:
    """Give the exit code: 1 for a regression beyond the limit, or failing requests; 3 for what can't be judged."""
    if any(comparison.regressions or comparison.failing for comparison in comparisons):
        return _REGRESSED
    return _UNDECIDED if any(comparison.undecided or comparison.unjudged for comparison in comparisons) else 0


def _saved(base: Path, new: list[Path], rules: Rules) -> list[Comparison]:
    from tritonforge.report import compare_reports, read_report

    first = read_report(base)
    return [compare_reports(first, read_report(path), names=(str(base), str(path)), rules=rules) for path in new]


def _live(scenario: Scenario, pairs: int, seed: int, rules: Rules, end: Ending) -> list[Comparison]:
    from tritonforge.report.sweep import compare_live

    shown = sys.stderr.isatty()

    def tell(load: Load, done: int, whole: int) -> None:
        end.go_on()
        if shown:
            say(f"\r{load}: {done} of {whole} rounds", nl=done == whole)

    return compare_live(scenario, pairs=pairs, seed=seed, rules=rules, tell=tell)


def _render(comparisons: Sequence[Comparison], written: Sequence[Output], *, alone: bool) -> bool:
    """Print comparisons, or their Markdown `alone`, and write them; tell whether all could be written."""
    from tritonforge.report import comparison_json, comparison_markdown
    from tritonforge.report.files import write

    markdown = "\n".join(comparison_markdown(comparison) for comparison in comparisons)
    whole = True
    for option, kind, path in written:
        try:
            write(path, (comparison_json(comparisons) if kind == "comparison" else markdown).encode())
        except OSError as error:
            say_unwritten(option, path, error)
            whole = False
    with printed(aside=not alone and has_a_file(path for _, _, path in written)):
        if alone:
            typer.echo(markdown, nl=False)
        else:
            for comparison in comparisons:
                show_comparison(comparison)
    return whole


def show_comparison(comparison: Comparison) -> None:
    """Print a comparison as text."""
    from tritonforge.report import comparison_table, headline, text_table
    from tritonforge.report.comparison import models_of

    models = f"{named}: " if (named := models_of(comparison)) else ""
    typer.echo(f"{models}{comparison.new} beside {comparison.base}")
    typer.echo(text_table(comparison_table(comparison)))
    for warning in comparison.warnings:
        typer.echo(f"note: {warning}")
    typer.echo(headline(comparison))
