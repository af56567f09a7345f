"""`tritonforge perf run`: sweeps that files describe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tritonforge.cli.perf_ending import Ending, ending

if TYPE_CHECKING:
    from tritonforge.report.scenario import Scenario

__all__ = ["run"]


_WORST = (130, 143, 4, 2, 1, 3, 0)
"""Exit codes, the one that says most of what came of several scenarios first."""


def run(
    files: Annotated[list[Path], typer.Argument(metavar="SCENARIO", help="A .toml with the options of `measure`.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A folder for NAME.json, .csv and .html too.", file_okay=False)
    ] = None,
) -> None:
    """Run a scenario, or several, one after another; exit as `measure` does, of several as the worst of them.

    The worst is 4, then 2, 1, 3.
    """
    for file in files:
        if not file.is_file():
            raise typer.BadParameter(f"{file} is no file", param_hint="SCENARIO")
    codes: list[int] = []
    also = [_also(file, output) for file in files]
    for file, scenario, more in zip(files, _read(files, also), also, strict=True):
        if len(files) > 1:
            typer.echo(f"\n{file}" if codes else f"{file}")
        end = Ending()
        codes.append(_run(scenario, more, files, end))
        if end.came and len(codes) < len(files):
            codes.append(end.code)
            break
    raise typer.Exit(min(codes, key=_WORST.index))


def _also(file: Path, output: Path | None) -> dict[str, Path]:
    return {} if output is None else {kind: output / f"{file.stem}.{kind}" for kind in ("json", "csv", "html")}


def _read(files: Sequence[Path], also: Sequence[Mapping[str, Path]]) -> list[Scenario]:
    """Read all of them, and see that none is to be written where another one is."""
    with ending():
        from tritonforge.cli.perf_execute import outputs_of
        from tritonforge.cli.perf_misuse import misused
        from tritonforge.report.places import check_places
        from tritonforge.report.scenario import read_scenario

        with misused():
            scenarios = [read_scenario(file) for file in files]
            if len(files) > 1:
                written = [outputs_of(*each) for each in zip(scenarios, also, strict=True)]
                check_places([place for places in written for place in places])
    return scenarios


def _run(scenario: Scenario, also: Mapping[str, Path], files: Sequence[Path], end: Ending) -> int:
    """Run one, and give its exit code."""
    try:
        with ending(end):
            from tritonforge.cli.perf_execute import execute

            return execute(scenario, end, also=also, reads=[("SCENARIO", file) for file in files])
    except typer.Exit as early:
        return early.exit_code
