"""The options of commands that call a server's models: the key that it may want, and any other header."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tritonforge.client import TLS, ConnectionOptions

__all__ = ["Header", "KeyFile", "connection_options", "telling_failures"]

KeyFile = Annotated[
    Path | None, typer.Option(help="The file of the key, where the server wants one for what is asked here.")
]
Header = Annotated[
    list[str] | None, typer.Option(metavar="NAME: VALUE", help="A header for each request to the server.")
]

_HEADER = re.compile(r"\s*(?P<name>[^:=]*[^:=\s])\s*[:=]\s*(?P<value>.*?)\s*")
"""NAME: VALUE as curl takes it, and NAME=VALUE."""


def connection_options(key_file: Path | None, headers: list[str] | None, tls: TLS | None) -> ConnectionOptions:
    """Put the options together.

    Raises:
        BadParameter: a header has no value.
    """
    from tritonforge.client.options import ConnectionOptions, key_headers

    given = {} if key_file is None else key_headers(key_file)
    for text in headers or ():
        found = _HEADER.fullmatch(text)
        if found is None:
            raise typer.BadParameter(f"found {text}; write NAME: VALUE", param_hint="--header")
        given[found["name"]] = found["value"]
    return ConnectionOptions(headers=given, tls=tls)


@contextmanager
def telling_failures(url: str) -> Iterator[None]:
    """End the command with a line where what the block asks of a server fails: 1, or 2 for a URL or files of no use."""
    from tritonforge.cli.life_options import who_runs
    from tritonforge.cli.tls_options import in_options
    from tritonforge.client import ClientError, ServerUnavailable

    try:
        yield
    except ClientError as error:  # some are ValueErrors, too
        reached = not isinstance(error, ServerUnavailable) or error.code
        typer.echo(f"error: {in_options(str(error))}{'' if reached else who_runs(url)}", err=True)
        raise typer.Exit(1) from None
    except ValueError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
