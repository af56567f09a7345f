"""`tritonforge stubs`: a typed client module."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["stubs"]


def stubs(
    source: Annotated[
        str, typer.Argument(metavar="URL|REPO", help="A running server (http://…, grpc://…), or a built repository.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The module to write.")] = Path("client.py"),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 where it isn't up to date.")] = False,
) -> None:
    """Write a typed client module: a method for each model, for mypy and editors."""
    from tritonforge.client.stubs import generate, read_repository, read_server

    is_url = "://" in source
    if not is_url and not Path(source).is_dir():
        raise typer.BadParameter(f"{source} is neither a URL nor a folder", param_hint="URL|REPO")
    models = read_server(source) if is_url else read_repository(Path(source))
    text = generate(models)
    if check:
        there = output.read_text(encoding="utf-8") if output.exists() else ""
        if there != text:
            typer.echo(f"{output} is not what `tritonforge stubs {source} -o {output}` writes", err=True)
            raise typer.Exit(1)
        return
    output.write_text(text, encoding="utf-8")
    typer.echo(f"{len(models)} models in {output}")
