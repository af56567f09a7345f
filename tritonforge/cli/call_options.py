"""The options of commands that call a server's models: the key that it may want, and any other header."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tritonforge.client import TLS, ConnectionOptions

__all__ = ["Header", "KeyFile", "connection_options"]

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
