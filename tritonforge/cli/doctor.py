"""`tritonforge doctor`: what is missing on this machine, and how to get it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tritonforge.errors import Diagnostic
    from tritonforge.server import ServerSettings
    from tritonforge.server.doctor import Checkup

__all__ = ["doctor"]

_MARKS = {"ok": ("ok", "green"), "absent": ("--", "cyan"), "warning": ("!", "yellow"), "error": ("FAIL", "red")}

_NOT_THE_MACHINES = {"settings", "ports"}
"""Checks that say nothing of whether a server can run here."""


def doctor(
    http_port: Annotated[int | None, typer.Option(help="HTTP; 0 takes a free one [default: 8000].")] = None,
    grpc_port: Annotated[int | None, typer.Option(help="gRPC; 0 takes a free one [default: 8001].")] = None,
    metrics_port: Annotated[int | None, typer.Option(help="Metrics; 0 takes a free one [default: 8002].")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of what was looked at.")] = False,
) -> None:
    """Look for what a server needs on this machine, and start one for a moment; exit 1 if `up` can't work here."""
    from tritonforge.errors import DiagnosticError
    from tritonforge.server import ServerSettings
    from tritonforge.server.doctor import examine, look_around, try_server
    from tritonforge.server.machine import probe

    for warning in ServerSettings.unread_variables():
        typer.echo(str(warning), err=True)
    settings: ServerSettings | tuple[Diagnostic, ...]
    try:
        settings = _settings(http_port=http_port, grpc_port=grpc_port, metrics_port=metrics_port)
    except DiagnosticError as error:
        settings = error.diagnostics
    checkups = examine(probe(), look_around(), settings)
    if all(checkup.status != "error" or checkup.name in _NOT_THE_MACHINES for checkup in checkups):
        checkups.append(try_server())
    if as_json:
        typer.echo(json.dumps([checkup.as_dict() for checkup in checkups], indent=2, ensure_ascii=False))
    else:
        _show(checkups)
    raise typer.Exit(1 if any(checkup.status == "error" for checkup in checkups) else 0)


def _settings(**ports: Any) -> ServerSettings:
    """Read what `up` would take here.

    Raises:
        DiagnosticError: something in pyproject.toml, or a setting, can't be.
    """
    from tritonforge.build import load_project
    from tritonforge.server import ServerSettings

    project = load_project()
    return ServerSettings.load(defaults=project.server, defaults_file=project.root / "pyproject.toml", **ports)


def _show(checkups: list[Checkup]) -> None:
    width = max(len(checkup.name) for checkup in checkups)
    for checkup in checkups:
        mark, colour = _MARKS[checkup.status]
        typer.echo(f"{typer.style(f'{mark:>4}', fg=colour)}  {checkup.name:<{width}}  {checkup.found}")
        for diagnostic in checkup.diagnostics:
            for line in str(diagnostic).splitlines():
                typer.echo(f"{'':>{width + 8}}{line}")
    errors = [checkup.name for checkup in checkups if checkup.status == "error"]
    typer.echo(f"to mend before a server starts here: {', '.join(errors)}" if errors else "a server can run here")
