"""`tritonforge stubs`: a typed client module."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tritonforge.cli.tls_options import Ca, Certificate, Key, ServerName, tls_of

if TYPE_CHECKING:
    from tritonforge.client import TLS, ConnectionOptions

__all__ = ["stubs"]


def stubs(
    source: Annotated[
        str, typer.Argument(metavar="URL|REPO", help="A running server (http://…, grpc://…), or a built repository.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The module to write.")] = Path("client.py"),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 where it isn't up to date.")] = False,
    key_file: Annotated[
        Path | None, typer.Option(help="The file of the key, where a server wants one for its statistics too.")
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A header for each request to the server.")
    ] = None,
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
    options = _options(key_file, header or [], tls_of(source, ca, certificate, key, server_name))
    models = read_server(source, options=options) if is_url else read_repository(Path(source))
    text = generate(models)
    if check:
        there = output.read_text(encoding="utf-8") if output.exists() else ""
        if there != text:
            typer.echo(f"{output} is not what `tritonforge stubs {source} -o {output}` writes", err=True)
            raise typer.Exit(1)
        return
    output.write_text(text, encoding="utf-8")
    typer.echo(f"{len(models)} models in {output}")


def _options(key_file: Path | None, headers: list[str], tls: TLS | None) -> ConnectionOptions:
    from tritonforge.client import ConnectionOptions

    given: dict[str, str] = {}
    if key_file is not None:
        key = key_file.read_text(encoding="utf-8").strip()
        given = {"triton-key": key, "triton-grpc-protocol-triton-key": key}
    for text in headers:
        name, separator, value = text.partition("=")
        if not separator:
            raise typer.BadParameter(f"found {text}; write NAME=VALUE", param_hint="--header")
        given[name] = value
    return ConnectionOptions(headers=given, tls=tls)
