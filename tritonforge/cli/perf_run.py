"""`tritonforge perf run`: sweeps that files describe."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tritonforge.cli.perf_ending import Ending, ending
from tritonforge.cli.perf_stdout import has_a_file, printed

if TYPE_CHECKING:
    from tritonforge.report.places import Output
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
    scenarios = _read(files, also)
    aside = len(files) > 1 and any(map(_prints_a_file, scenarios))
    for file, scenario, more in zip(files, scenarios, also, strict=True):
        if len(files) > 1:
            with printed(aside=aside):
                typer.echo(f"\n{file}" if codes else f"{file}")
        end = Ending()
        codes.append(_run(file, scenario, more, files, end))
        if end.came and len(codes) < len(files):
            codes.append(end.code)
            break
    raise typer.Exit(min(codes, key=_WORST.index))


def _also(file: Path, output: Path | None) -> dict[str, Path]:
    return {} if output is None else {kind: output / f"{file.stem}.{kind}" for kind in ("json", "csv", "html")}


def _prints_a_file(scenario: Scenario) -> bool:
    from tritonforge.cli.perf_execute import outputs_of

    return has_a_file(path for _, _, path in outputs_of(scenario, {}))


def _read(files: Sequence[Path], also: Sequence[Mapping[str, Path]]) -> list[Scenario]:
    """Read all of them, and see that none is to be written where another one is."""
    with ending() as end:
        with end.importing():
            import tritonforge.report.sweep  # noqa: F401  with it, all that measures
            from tritonforge.cli.perf_execute import outputs_of
            from tritonforge.cli.perf_misuse import misused
            from tritonforge.report.places import check_places
            from tritonforge.report.scenario import read_scenario

        with misused():
            scenarios = [read_scenario(file) for file in files]
            if len(files) > 1:
                written = [outputs_of(*each) for each in zip(scenarios, also, strict=True)]
                _check_apart(files, written)
                check_places([place for places in written for place in places])
    return scenarios


def _check_apart(files: Sequence[Path], written: Sequence[Sequence[Output]]) -> None:
    """Raise Unwritable where two scenarios, or one that is named twice, would write one file."""
    from tritonforge.load.exports.replacement import is_device
    from tritonforge.report.places import Unwritable

    taken: dict[str, Path] = {}
    for file, places in zip(files, written, strict=True):
        for option, _, path in places:
            place = os.path.realpath(path)
            if place in taken and taken[place] is not file and not is_device(path):
                hint = "run each by itself, with an --output or files of its own"
                if taken[place] == file:
                    raise Unwritable(option, path, f"{file} is named twice, and would write it twice; {hint}")
                raise Unwritable(option, path, f"both {taken[place]} and {file} would; {hint}, or rename one")
            taken[place] = file


def _run(file: Path, scenario: Scenario, also: Mapping[str, Path], files: Sequence[Path], end: Ending) -> int:
    """Run one of some files' scenarios, and give its exit code."""
    try:
        with ending(end):
            from tritonforge.cli.perf_execute import execute

            label = str(file) if len(files) > 1 else ""
            return execute(scenario, end, also=also, reads=[("SCENARIO", each) for each in files], label=label)
    except typer.Exit as early:
        return early.exit_code
