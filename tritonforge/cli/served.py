"""How the commands show a running server: a table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tritonforge.server import Server
    from tritonforge.server.catalog import ServedModel

__all__ = ["show_served"]


def show_served(server: Server) -> None:
    """Print the models that a server serves, and its addresses."""
    models = server.describe()
    addresses = {
        "HTTP": server.http_url,
        "gRPC": server.grpc_url,
        "metrics": server.metrics_url,
        "log": str(server.log_path),
    }
    if sys.stdout.isatty():
        _show_table(models)
        for name, address in addresses.items():
            typer.echo(f"{name:>8}  {address}")
        typer.echo("ready; Ctrl-C stops it")
        return
    for model in models:
        typer.echo(f"model {model.name} {model.version} {model.kind} {model.state} {model.signature}")
    for name, address in addresses.items():
        typer.echo(f"{name} {address}")
    typer.echo("ready")


def _show_table(models: list[ServedModel]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("model", "version", "kind", "state", "inputs → outputs", box=None, pad_edge=False)
    for model in models:
        state = Text(model.state, style="green" if model.state == "READY" else "red")
        signature = Text(model.signature.replace(") -> (", ") → ("))
        table.add_row(Text(model.name, style="bold"), model.version, model.kind, state, signature)
    Console().print(table)
