"""The options of commands that call a server over TLS: `https://` and `grpcs://`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tritonforge.client import TLS

__all__ = ["Ca", "Certificate", "Key", "ServerName", "in_options", "tls_of"]

_PANEL = "TLS (https://, grpcs://)"


def _file(text: str) -> Any:
    return typer.Option(help=text, rich_help_panel=_PANEL, exists=True, dir_okay=False)


Ca = Annotated[Path | None, _file("PEM of the authorities to trust [default: the system's].")]
Certificate = Annotated[Path | None, _file("PEM of this client's certificate, for mutual TLS.")]
Key = Annotated[Path | None, _file("PEM of its key.")]
ServerName = Annotated[
    str, typer.Option(help="The name in the server's certificate, if not the URL's host.", rich_help_panel=_PANEL)
]

_SPELLED = {
    "TLS(certificate=…, key=…)": "--certificate and --key",
    "TLS(server_name=…)": "--server-name",
    "TLS(ca=…)": "--ca",
    "ConnectionOptions(headers={…})": "--key-file",
}


def tls_of(url: str, ca: Path | None, certificate: Path | None, key: Path | None, server_name: str) -> TLS | None:
    """Put the options together; None where none is given.

    Raises:
        BadParameter: half of a pair is given, or the URL isn't one of TLS.
    """
    from tritonforge.client import TLS

    named = {"--ca": ca, "--certificate": certificate, "--key": key, "--server-name": server_name}
    given = [option for option, value in named.items() if value]
    if not given:
        return None
    if not url.startswith(("https://", "grpcs://")):
        reason = f"{url} is not over TLS; with https:// or grpcs:// it would be"
        raise typer.BadParameter(reason, param_hint=given[0])
    if (certificate is None) != (key is None):
        raise typer.BadParameter("the two go together", param_hint="--certificate, --key")
    return TLS(ca=ca, certificate=certificate, key=key, server_name=server_name)


def in_options(text: str) -> str:
    """Spell what a hint of the client's says of Python's arguments as options."""
    for words, option in _SPELLED.items():
        text = text.replace(words, option)
    return text
