"""`tritonforge verify`: golden samples through a running server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tritonforge.cli.call_options import Header, KeyFile, connection_options, telling_failures
from tritonforge.cli.tls_options import Ca, Certificate, Key, ServerName, in_options, tls_of

__all__ = ["verify"]


def verify(
    repository: Annotated[
        Path | None, typer.Argument(metavar="[REPO]", help="What the build wrote [default: the project's].")
    ] = None,
    url: Annotated[
        str, typer.Option(envvar="TRITONFORGE_URL", help="http://host:port or grpc://host:port; https, grpcs for TLS.")
    ] = "http://127.0.0.1:8000",
    tolerance: Annotated[
        float | None,
        typer.Option(help="t: floats are right where |answer - expected| <= t + t * |expected| [default: 1e-4]."),
    ] = None,
    key_file: KeyFile = None,
    header: Header = None,
    ca: Ca = None,
    certificate: Certificate = None,
    key: Key = None,
    server_name: ServerName = "",
) -> None:
    """Send a repository's golden samples to a server; exit 1 where it answers otherwise than the definitions did."""
    from tritonforge.build import load_project
    from tritonforge.client import Client
    from tritonforge.client.verify import verify as hold
    from tritonforge.samples import TOLERANCE

    options = connection_options(key_file, header, tls_of(url, ca, certificate, key, server_name))
    folder = repository or load_project().repository
    held = failed = 0
    with telling_failures(url), Client(url, options=options) as client:
        for model in hold(client, folder, tolerance=TOLERANCE if tolerance is None else tolerance):
            right = model.samples - len(model.wrong)
            said = f"{right} of {model.samples} as built" if model.samples else "no golden samples"
            typer.echo(f"{model.model}: {in_options(model.untried) or said}")
            for words in model.wrong:
                typer.echo(f"  {in_options(words)}")
            held, failed = held + model.samples, failed + len(model.wrong) + bool(model.untried)
    if not held and not failed:
        typer.echo("nothing to verify: build with --golden 8, or give definitions examples=", err=True)
    raise typer.Exit(1 if failed or not held else 0)
