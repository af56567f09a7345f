"""What the commands about a running server have in common: which server is meant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tritonforge.server.attached import AttachedServer

__all__ = ["KeyFile", "Name", "Url", "reach"]

Name = Annotated[str, typer.Option("--name", "-n", help="The server's name; not needed where only one runs.")]
Url = Annotated[str, typer.Option(help="A server that up didn't start: its HTTP address.")]
KeyFile = Annotated[Path | None, typer.Option(help="With --url: the file of the key to its restricted APIs.")]


def reach(name: str, url: str, key_file: Path | None) -> AttachedServer:
    """Reach a server by its name or address.

    Raises:
        ServerError: there is no such server, or it doesn't answer.
    """
    from tritonforge.server import Server
    from tritonforge.server.recorded import RecordedServer
    from tritonforge.server.records import find_record

    if url:
        return Server.attached(url, key=key_file.read_text().strip() if key_file else "")
    return RecordedServer(find_record(name))
