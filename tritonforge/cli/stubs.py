"""`tritonforge stubs`: a typed client module."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tritonforge.cli.call_options import Header, KeyFile, connection_options, telling_failures
from tritonforge.cli.tls_options import Ca, Certificate, Key, ServerName, tls_of

__all__ = ["stubs"]


def stubs(
    source: Annotated[
        str, typer.Argument(metavar="URL|REPO", help="A running server (http://…, grpc://…), or a built repository.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The module to write.")] = Path("client.py"),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 where it isn't up to date.")] = False,
    key_file: KeyFile = None,
    header: Header = None,
    ca: Ca = None,
    certificate: Certificate = None,
    key: Key = None,
    server_name: ServerName = "",
) -> None:
    """Write a typed client module: a method for each model, for mypy and editors."""
    from tritonforge.client.stubs import generate, read_repository, read_server

    is_url = "://" in source
    if not is_url and not Path(source).is_dir():
        raise typer.BadParameter(f"{source} is neither a URL nor a folder", param_hint="URL|REPO")
    options = connection_options(key_file, header, tls_of(source, ca, certificate, key, server_name))
    with telling_failures(source):
        models = read_server(source, options=options) if is_url else read_repository(Path(source))
    text = generate(models)
    if check:
        there = output.read_text(encoding="utf-8") if output.exists() else ""
        if there != text:
            typer.echo(f"{output} is not what is written of {source} now: run this without --check", err=True)
            raise typer.Exit(1)
        return
    output.write_text(text, encoding="utf-8")
    typer.echo(f"{len(models)} model{'s'[: len(models) != 1]} in {output}")
