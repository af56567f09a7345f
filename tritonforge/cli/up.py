"""`tritonforge up`: a Triton server on a repository, or on definitions built for the occasion."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tritonforge.cli.docker_options import TWICE, Runtime, read_docker_options
from tritonforge.cli.interruptions import Interruptions, interruptible

if TYPE_CHECKING:
    from tritonforge.build import Project
    from tritonforge.cli.detach import Detached
    from tritonforge.cli.served_repository import Chosen
    from tritonforge.server import EmbeddedServer, Server, ServerSettings
    from tritonforge.server.docker.server import DockerServer
    from tritonforge.server.docker.settings import DockerSettings
    from tritonforge.server.state.records import ServerRecord

__all__ = ["up"]

_PLUGINS = "PYDANTIC_DISABLE_PLUGINS"

_OPEN = (
    "warning: no key is asked for: whoever reaches this machine can load models into the server, "
    "and their code runs as you"
)


def up(
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="[REPO or FILE]",
            help="A model repository, or definitions to build [default: pyproject.toml's, or model_repository].",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", "-n", help="What status, logs and down know it by [default: after REPO or FILE]."),
    ] = None,
    detached: Annotated[bool, typer.Option("--detach", "-d", help="Go on in the background once it is ready.")] = False,
    watching: Annotated[
        bool, typer.Option("--watch", help="Build and serve what is saved, the old version serving meanwhile.")
    ] = False,
    http_port: Annotated[int | None, typer.Option(help="HTTP; 0 takes a free port [default: 8000].")] = None,
    grpc_port: Annotated[int | None, typer.Option(help="gRPC; 0 takes a free port [default: 8001].")] = None,
    metrics_port: Annotated[int | None, typer.Option(help="Metrics; 0 takes a free port [default: 8002].")] = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on [default: 127.0.0.1].")] = None,
    public: Annotated[
        bool | None,
        typer.Option("--public", help="Listen for other machines, with a key for all that changes the server."),
    ] = None,
    open_apis: Annotated[bool, typer.Option("--no-key", help="Ask no key for any API.")] = False,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds until all models must be ready [default: 120].")
    ] = None,
    tritonserver: Annotated[
        str | None, typer.Option(help="Another server than the embedded one: a program, or its folder.")
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SETTING=VALUE", help="Any setting of the server: --set cache_size=64MB."),
    ] = None,
    runtime: Annotated[Runtime, typer.Option(help="Run it as a process, or in a container.")] = Runtime.EMBEDDED,
    image: Annotated[str | None, typer.Option(help="The container's image [default: NVIDIA's, of the target].")] = None,
    gpus: Annotated[str | None, typer.Option(help="The container's GPUs: all, a number, or ids: 0,2.")] = None,
    docker_sets: Annotated[
        list[str] | None,
        typer.Option("--docker", metavar="SETTING=VALUE", help="shm_size, memory, cpus, user, restart, pull."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the server's log.")] = False,
) -> None:
    """Serve a model repository with an embedded Triton server, or in a container, until Ctrl-C."""
    if name == "":
        raise typer.BadParameter(
            "it is empty; without --name the server is named after REPO or FILE", param_hint="--name"
        )
    with interruptible() as interruptions:
        from tritonforge.cli.served_repository import choose
        from tritonforge.cli.watch import refuse_watching

        with _without_plugins():
            from tritonforge.build import load_project
            from tritonforge.server import ServerSettings

        project = load_project()
        for warning in ServerSettings.unread_variables():
            typer.echo(str(warning), err=True)
        options = {
            "http_port": http_port,
            "grpc_port": grpc_port,
            "metrics_port": metrics_port,
            "host": host,
            "public": public,
            "restricted_apis": () if open_apis else None,
            "ready_timeout_s": timeout,
            "tritonserver": tritonserver,
        }
        given = {setting: value for setting, value in options.items() if value is not None}
        settings = ServerSettings.load(
            defaults={"model_control": "explicit", **project.server},
            defaults_file=project.root / "pyproject.toml",
            **_pairs(sets or [], given) | given,
        )
        if settings.loads_for_all:
            typer.echo(_OPEN, err=True)
        if tritonserver and runtime is Runtime.DOCKER:
            reason = "a container has the server of its image: leave it out, or name the image with --image"
            raise typer.BadParameter(reason, param_hint="--tritonserver")
        docker = read_docker_options(runtime.value, image, gpus, docker_sets or [])
        chosen = choose(path, project, definitions=watching)
        if watching:
            refuse_watching(chosen, settings, detached=detached, runtime=runtime.value)
        _up(
            chosen,
            project,
            settings,
            docker,
            interruptions,
            name=name or "",
            runtime=runtime.value,
            detached=detached,
            watching=watching,
            verbose=verbose,
        )


@contextmanager
def _without_plugins() -> Iterator[None]:
    """Have pydantic make the models of the block without plugins: it would look for some in every installed package."""
    before = os.environ.get(_PLUGINS)
    os.environ[_PLUGINS] = "__all__"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_PLUGINS]
        else:
            os.environ[_PLUGINS] = before


def _up(
    chosen: Chosen,
    project: Project,
    settings: ServerSettings,
    docker: DockerSettings | None,
    interruptions: Interruptions,
    *,
    name: str,
    runtime: str,
    detached: bool,
    watching: bool,
    verbose: bool,
) -> None:
    """Start the server, and serve until it is interrupted, which is an error as long as it isn't ready."""
    from tritonforge.cli.detach import detach
    from tritonforge.cli.watch import serve_watching
    from tritonforge.server.embedded import with_free_ports

    ready = False
    try:
        background = detach(interruptions) if detached else None
        with (
            _recorded(chosen, settings, interruptions, name=name, runtime=runtime, detached=detached) as record,
            ExitStack() as stack,
        ):
            log = verbose and not detached
            started = partial(_started, chosen, project, settings, docker, record, interruptions, verbose=log)
            server = with_free_ports(settings, lambda: stack.enter_context(started()))
            interruptions.check()
            _announce(server, record, chosen, project, background)
            ready = True
            interruptions.check()
            _serve(server, partial(serve_watching, server, chosen, project) if watching else server.wait)
    except KeyboardInterrupt:
        raise typer.Exit(0 if ready else interruptions.code) from None


def _pairs(sets: list[str], given: Collection[str]) -> dict[str, Any]:
    """Read SETTING=VALUE, of those not given by an option; lists are in JSON, or have commas between their values."""
    from tritonforge.server.settings.server import from_text

    values: dict[str, Any] = {}
    for text in sets:
        setting, separator, value = text.partition("=")
        if not separator:
            raise typer.BadParameter(f"found {text}; write SETTING=VALUE", param_hint="--set")
        if setting == "restricted_key":
            reason = "every user can read a key on a command line; give it by the variable TRITONFORGE_RESTRICTED_KEY"
            raise typer.BadParameter(reason, param_hint="--set restricted_key")
        if setting in given:
            raise typer.BadParameter("an option gives it, too: leave one of them out", param_hint=f"--set {setting}")
        if setting in values:
            raise typer.BadParameter(TWICE, param_hint=f"--set {setting}")
        values[setting] = from_text(setting, value, lambda text: list(filter(None, text.split(","))))
    return values


@contextmanager
def _recorded(
    chosen: Chosen,
    settings: ServerSettings,
    interruptions: Interruptions,
    *,
    name: str,
    runtime: str,
    detached: bool,
) -> Iterator[ServerRecord]:
    """Have the server in the user's state folder for the block; one in the background stays there if it dies."""
    from tritonforge.server import ServerDied
    from tritonforge.server.state.records import claim, find_record, forget, save

    with interruptions.deferred():
        record = claim(name, fallback=chosen.title, runtime=runtime, detached=detached)
        interruptions.at_end.append(partial(forget, record))
    record = replace(record, exit_timeout_s=settings.exit_timeout_s)
    try:
        yield record
    except ServerDied as error:
        if detached and (found := find_record(record.name)).ready:
            save(replace(found, end=error.cause))
        else:
            forget(record)
        raise
    except BaseException:
        forget(record)
        raise


@contextmanager
def _started(
    chosen: Chosen,
    project: Project,
    settings: ServerSettings,
    docker: DockerSettings | None,
    record: ServerRecord,
    interruptions: Interruptions,
    *,
    verbose: bool,
) -> Iterator[EmbeddedServer | DockerServer]:
    """Run a server for the block, with its log shown if so wished; a second interruption kills it."""
    from tritonforge.cli.follow import following
    from tritonforge.cli.served_repository import (
        build_chosen,
        warn_of_edits,
        warn_of_foreign_code,
        warn_of_idle_fields,
        warn_of_requirements,
    )
    from tritonforge.server import Server, Workspace
    from tritonforge.server.preflight import preflight_machine
    from tritonforge.server.settings.writable import needing_room

    gc.enable()
    if docker is None and chosen.repository is None:
        with interruptions.deferred():  # it reads the records, and may lock their folder
            preflight_machine(settings)
    with Workspace(log=Path(record.log) if record.log else None) as workspace:
        interruptions.at_end.append(workspace.close)
        interruptions.at_second.append(workspace.kill)
        with needing_room(workspace.folder.parent):
            repository = build_chosen(chosen, project, workspace)
        warn_of_foreign_code(repository)
        if chosen.repository is not None:
            warn_of_edits(repository)
        if docker is None and not settings.tritonserver:
            warn_of_requirements(repository)
        warn_of_idle_fields(repository, settings)
        folder = chosen.repository or chosen.sources[0]
        projects = (project.root, folder.parent.resolve())
        with following(workspace.log) if verbose else nullcontext():
            common: dict[str, Any] = {"name": record.name, "workspace": workspace, "projects": projects}
            interruptions.at_once = False
            if docker is None:
                yield Server.embedded(repository, settings, **common)
            else:
                yield Server.docker(repository, settings, docker=docker, progress=_progress, **common)
            workspace.close()  # while the log is still followed


def _progress(line: str) -> None:
    typer.echo(line, err=True)


def _announce(
    server: EmbeddedServer | DockerServer,
    record: ServerRecord,
    chosen: Chosen,
    project: Project,
    background: Detached | None,
) -> None:
    """Record what is served, and where; say so; and leave the terminal, if that is wished."""
    from tritonforge.cli.notices import show_notices
    from tritonforge.cli.served import show_served
    from tritonforge.server.state.records import needing_state, save

    key = server.settings.restricted_key.get_secret_value() if server.settings.restricted_key else ""
    record = replace(
        record,
        ready=True,
        server_pid=server.pid,
        container=getattr(server, "container_id", ""),
        python_backends=server.python_backends,
        http_url=server.http_url,
        grpc_url=server.grpc_url,
        metrics_url=server.metrics_url,
        repository=str(server.repository),
        served=str(server.served.folder),
        sources=tuple(str(source.resolve()) for source in chosen.sources),
        target=project.target,
        log=str(server.log_path),
    )
    with needing_state():  # it had room for the first record, which is shorter
        save(record, key=key)
    with nullcontext() if background is None else suppress(OSError):  # it is ready, whoever reads that (`| head -1`)
        models = show_notices(server)
        show_served(server, models, key_file=record.key_file if key else None, detached=background is not None)
    if background is not None:
        background.ready(record.folder / "launcher.log")


def _serve(server: Server, serve: Callable[[], int | None]) -> None:
    """Serve until the server's end, which comes too early unless it is interrupted.

    Raises:
        ServerDied: the server ended by itself.
    """
    from tritonforge.server.diagnosis.end import server_died
    from tritonforge.server.diagnosis.log import added

    begun = len(server.log_text())
    try:
        code = serve()
    except KeyboardInterrupt:
        with suppress(OSError):  # a terminal that is gone
            typer.echo("stopping; Ctrl-C again kills", err=True)
        server.stop()
        raise
    assert code is not None
    log = server.log_text()
    raise server_died(code, log, said=added(log, begun), information=False)
