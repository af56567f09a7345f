"""`tritonforge up`: an embedded Triton server on a repository, or on definitions built for the occasion."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tritonforge.build import Project
    from tritonforge.server import Server, ServerSettings, Workspace

__all__ = ["up"]

_INTERRUPTED = 130
_DEFAULT = Path("model_repository")


def up(
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="[REPO or FILE]",
            help="A model repository, or definitions to build [default: model_repository, or pyproject.toml's].",
        ),
    ] = None,
    http_port: Annotated[int | None, typer.Option(help="HTTP; 0 takes a free port [default: 8000].")] = None,
    grpc_port: Annotated[int | None, typer.Option(help="gRPC; 0 takes a free port [default: 8001].")] = None,
    metrics_port: Annotated[int | None, typer.Option(help="Metrics; 0 takes a free port [default: 8002].")] = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on [default: 127.0.0.1].")] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds until all models must be ready [default: 120].")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the server's log.")] = False,
) -> None:
    """Serve a model repository with an embedded Triton server, until Ctrl-C."""
    from tritonforge.build import load_project
    from tritonforge.server import ServerSettings

    project = load_project()
    settings = ServerSettings.load(
        defaults=project.server,
        http_port=http_port,
        grpc_port=grpc_port,
        metrics_port=metrics_port,
        host=host,
        ready_timeout_s=timeout,
    )
    ready = False
    try:
        with _interruptible(), _started(path, project, settings, verbose=verbose) as server:
            _announce(server)
            ready = True
            _serve(server)
    except KeyboardInterrupt:
        raise typer.Exit(0 if ready else _INTERRUPTED) from None


@contextmanager
def _started(path: Path | None, project: Project, settings: ServerSettings, *, verbose: bool) -> Iterator[Server]:
    """Run a server for the block, with its log shown if so wished."""
    from tritonforge.cli.follow import following
    from tritonforge.server import Server, Workspace
    from tritonforge.server.preflight import preflight_machine

    preflight_machine(settings)
    with Workspace() as workspace:
        repository = _repository(path, project, workspace)
        projects = (project.root, *([path.parent.resolve()] if path else []))
        with following(workspace.log) if verbose else nullcontext():
            yield Server.embedded(repository, settings, workspace=workspace, projects=projects)
            workspace.close()  # while the log is still followed


def _repository(path: Path | None, project: Project, workspace: Workspace) -> Path:
    """Find the repository to serve; build it in the workspace if definitions are given."""
    from tritonforge.server.repository import MANIFEST, is_repository

    if path is None:
        for folder in (_DEFAULT, project.repository):
            if is_repository(folder):
                return folder
        if not project.sources:
            raise typer.BadParameter(
                f"name a model repository or a file of definitions; there is no {_DEFAULT} here, and pyproject.toml "
                'has no definitions = ["…"] in [tool.tritonforge]',
                param_hint="REPO or FILE",
            )
        return _build(project.sources, project, workspace)
    if not path.exists():
        raise typer.BadParameter(f"{path} does not exist", param_hint="REPO or FILE")
    if path.is_dir() and ((path / MANIFEST).is_file() or not any(path.glob("*.py"))) and is_repository(path):
        return path
    return _build((path,), project, workspace)


def _build(sources: tuple[Path, ...], project: Project, workspace: Workspace) -> Path:
    """Build definitions into the workspace."""
    from tritonforge.build import build

    report = build(sources, workspace.folder / "model_repository", target=project.target)
    for warning in report.warnings:
        typer.echo(str(warning), err=True)
    return workspace.folder / "model_repository"


def _announce(server: Server) -> None:
    """Say what is served, and where."""
    from tritonforge.cli.served import show_served

    show_served(server)


def _serve(server: Server) -> None:
    """Wait for the server's end, which comes too early unless it is interrupted.

    Raises:
        ServerDied: the server ended by itself.
    """
    from tritonforge.server import ServerDied
    from tritonforge.server.log import last_words

    try:
        code = server.wait()
    except KeyboardInterrupt:
        typer.echo("stopping; Ctrl-C again kills", err=True)
        server.stop()
        raise
    assert code is not None
    raise ServerDied(code, last_words(server.log_text()), log=server.log_text())


@contextmanager
def _interruptible() -> Iterator[None]:
    """Have SIGTERM end the block as Ctrl-C does, and SIGINT too where a shell started this with it ignored (`&`)."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
