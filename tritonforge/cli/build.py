"""`tritonforge build`: definitions into a model repository."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tritonforge.build import BuildReport
    from tritonforge.lower import Choice

__all__ = ["build", "shorten"]


def build(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Files, packages or folders of definitions; by default those of pyproject.toml."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The repository's folder [default: model_repository].")
    ] = None,
    target: Annotated[str | None, typer.Option(help="The Triton release to build for [default: 24.10].")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 and show the difference if a build would change it.")
    ] = False,
    golden: Annotated[
        int | None,
        typer.Option(min=0, help="Golden samples, at random, of each model without examples [default: as before]."),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say of each pipeline which lowering it took, and why.")
    ] = False,
) -> None:
    """Build a Triton model repository from definitions."""
    from tritonforge.build import build as build_repository
    from tritonforge.build import check_build, load_project

    project = load_project()
    sources = tuple(paths or ()) or project.sources
    if not sources:
        raise typer.BadParameter(
            'name a file of definitions, or set definitions = ["…"] in pyproject.toml\'s [tool.tritonforge]',
            param_hint="PATHS",
        )
    folder = output or shorten(project.repository)
    release = target or project.target
    samples = project.golden if golden is None else golden
    if check and explain:
        raise typer.BadParameter("it tells of a build, and --check builds nothing", param_hint="--explain")
    if check:
        difference = check_build(sources, folder, target=release, golden=samples)
        typer.echo(difference or f"{folder} is up to date", nl=not difference)
        raise typer.Exit(1 if difference else 0)
    started = time.perf_counter()
    report = build_repository(sources, folder, target=release, golden=samples)
    _show(report, time.perf_counter() - started)
    if explain:
        typer.echo("\n".join(map(_explain, report.lowerings)) or "no pipelines, so there is nothing to choose")


def _show(report: BuildReport, took_s: float) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    for warning in report.warnings:
        typer.echo(str(warning), err=True)
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console.width = 10_000  # a line a model, for tools that read lines
    table = Table("model", "version", "kind", "change", "signature", box=None, pad_edge=False)
    for model in report.models:
        style = "dim" if model.change == "unchanged" else ""
        cells = (model.name, str(model.version), model.kind, model.change, model.signature)
        table.add_row(*(Text(cell) for cell in cells), style=style)
    for name in report.removed:
        table.add_row(Text(name), "", "", "removed", "", style="yellow")
    with console.capture() as captured:
        console.print(table)
    typer.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))
    count = len(report.models)
    typer.echo(f"{count} model{'s'[: count != 1]} in {report.output} ({took_s:.2f} s)")


def _explain(choice: Choice) -> str:
    """Tell of a pipeline's lowering in lines."""
    by = "chosen by auto" if choice.automatic else "as its definition says"
    lines = [f"{choice.where}: {choice.lowering}, {by}"]
    lines += [f"  because {reason}" for reason in choice.reasons if choice.automatic]
    lines += [f"  but {choice.risk}"] if choice.risk else []
    lines += [f"  not {lowering}: {reason}" for lowering, reason in choice.others]
    return "\n".join(lines)


def shorten(path: Path) -> Path:
    """Give a path relative to the working directory where it is below that."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
