"""How the commands show a running server: a table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from tritonforge.server import EmbeddedServer
    from tritonforge.server.asking.catalog import ServedModel
    from tritonforge.server.docker.server import DockerServer

__all__ = ["show_served"]

_NOT_LOADED = "not loaded"
_NONE = "no model is loaded: tritonforge load MODEL"


def show_served(
    server: EmbeddedServer | DockerServer,
    models: list[ServedModel],
    *,
    key_file: Path | None = None,
    detached: bool = False,
) -> None:
    """Print the models that a server serves, and its addresses; the key to restricted APIs where others reach it."""
    none_loaded = not any(model.state for model in models)
    addresses = {
        "HTTP": server.http_url,
        "gRPC": server.grpc_url,
        "metrics": server.metrics_url,
        "log": str(server.log_path),
        "key": _key(server, key_file) if key_file else "",
        "name": server.name,
        "shm": str(shared) if (shared := getattr(server, "shared_memory", None)) else "",
    }
    addresses = {name: address for name, address in addresses.items() if address}
    if sys.stdout.isatty():
        _show_table(models)
        if none_loaded:
            typer.echo(_NONE)
        for name, address in addresses.items():
            typer.echo(f"{name:>8}  {address}")
        typer.echo(f"ready; stop it with: tritonforge down {server.name}" if detached else "ready; Ctrl-C stops it")
        return
    for model in models:
        rest = f"{model.version} {model.kind} {model.state} {model.signature}" if model.state else _NOT_LOADED
        typer.echo(f"model {model.name} {rest}")
    if none_loaded:
        typer.echo(_NONE)
    for name, address in addresses.items():
        typer.echo(f"{name} {address}")
    typer.echo("ready")


def _key(server: EmbeddedServer | DockerServer, file: Path) -> str:
    """Tell the key where other machines need it; else the file that has it, where our commands find it."""
    settings = server.settings
    wanted = f"{settings.restricted_header} header, for {', '.join(settings.restricted)}"
    key = settings.restricted_key.get_secret_value() if settings.public and settings.restricted_key else ""
    return f"{key} in {file} ({wanted})" if key else f"{file} ({wanted})"


def _show_table(models: list[ServedModel]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("model", "version", "kind", "state", "inputs → outputs", box=None, pad_edge=False)
    for model in models:
        style = "green" if model.state == "READY" else "red" if model.state else "dim"
        state = Text(model.state or _NOT_LOADED, style=style)
        signature = Text(model.signature.replace(") -> (", ") → ("))
        table.add_row(Text(model.name, style="bold"), model.version, model.kind, state, signature)
    Console().print(table)
