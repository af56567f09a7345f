"""`tritonforge doctor`: what is missing on this machine, and how to get it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tritonforge.server.doctor import Checkup

__all__ = ["doctor"]

_MARKS = {"ok": ("ok", "green"), "absent": ("--", "cyan"), "warning": ("!", "yellow"), "error": ("FAIL", "red")}


def doctor(
    http_port: Annotated[int | None, typer.Option(help="HTTP; 0 takes a free one [default: 8000].")] = None,
    grpc_port: Annotated[int | None, typer.Option(help="gRPC; 0 takes a free one [default: 8001].")] = None,
    metrics_port: Annotated[int | None, typer.Option(help="Metrics; 0 takes a free one [default: 8002].")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of what was looked at.")] = False,
) -> None:
    """Look for what a server needs on this machine, and start one for a moment; exit 1 if `up` can't work here."""
    from tritonforge.build import load_project
    from tritonforge.server import ServerSettings
    from tritonforge.server.doctor import examine, look_around, try_server
    from tritonforge.server.machine import probe

    project = load_project()
    for warning in ServerSettings.unread_variables():
        typer.echo(str(warning), err=True)
    settings = ServerSettings.load(
        defaults=project.server,
        defaults_file=project.root / "pyproject.toml",
        http_port=http_port,
        grpc_port=grpc_port,
        metrics_port=metrics_port,
    )
    checkups = examine(probe(), look_around(), settings)
    if all(checkup.status != "error" or checkup.name == "ports" for checkup in checkups):
        checkups.append(try_server())
    if as_json:
        typer.echo(json.dumps([checkup.as_dict() for checkup in checkups], indent=2, ensure_ascii=False))
    else:
        _show(checkups)
    raise typer.Exit(1 if any(checkup.status == "error" for checkup in checkups) else 0)


def _show(checkups: list[Checkup]) -> None:
    width = max(len(checkup.name) for checkup in checkups)
    for checkup in checkups:
        mark, colour = _MARKS[checkup.status]
        typer.echo(f"{typer.style(f'{mark:>4}', fg=colour)}  {checkup.name:<{width}}  {checkup.found}")
        for diagnostic in checkup.diagnostics:
            for line in str(diagnostic).splitlines():
                typer.echo(f"{'':>{width + 8}}{line}")
    errors = [checkup.name for checkup in checkups if checkup.status == "error"]
    typer.echo(f"to mend before a server starts here: {', '.join(errors)}" if errors else "a server runs here")
