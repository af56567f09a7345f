"""`tritonforge perf run`: a sweep that a file describes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tritonforge.cli.perf_ending import ending

__all__ = ["run"]


def run(
    file: Annotated[Path, typer.Argument(metavar="SCENARIO", help="A .toml with the options of `measure`.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A folder for NAME.json, .csv and .html too.", file_okay=False)
    ] = None,
) -> None:
    """Run a scenario; exit as `measure` does."""
    if not file.is_file():
        raise typer.BadParameter(f"{file} is no file", param_hint="SCENARIO")
    with ending() as end:
        from tritonforge.cli.perf_execute import execute
        from tritonforge.cli.perf_misuse import misused
        from tritonforge.report.scenario import read_scenario

        with misused():
            scenario = read_scenario(file)
        also = {} if output is None else {kind: output / f"{file.stem}.{kind}" for kind in ("json", "csv", "html")}
        raise typer.Exit(execute(scenario, end, also=also))
