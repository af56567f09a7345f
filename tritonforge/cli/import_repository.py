"""`tritonforge import`: definitions of a repository that was made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["import_repository"]


def import_repository(
    repository: Annotated[
        Path, typer.Argument(metavar="REPO", help="The model repository.", exists=True, file_okay=False)
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file of definitions to write.")] = Path(
        "serving.py"
    ),
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Write definitions that build to the same configurations as a repository made by hand."""
    from tritonforge.build.discover import TAKEN
    from tritonforge.build.importer import import_repository as read_repository

    if output.stem in TAKEN:
        reason = f"a module named {output.stem} would hide the one of Python or of a library, so that no build takes it"
        raise typer.BadParameter(reason, param_hint="--output")
    if output.exists() and not force:
        raise typer.BadParameter(f"{output} is there already; name another, or take --force", param_hint="--output")
    imported = read_repository(repository.resolve(), output.resolve())
    output.write_text(imported.source, encoding="utf-8")
    for warning in imported.warnings:
        typer.echo(str(warning), err=True)
    count = len(imported.models)
    typer.echo(f"{count} model{'s'[: count != 1]} in {output}; build them with: tritonforge build {output}")
