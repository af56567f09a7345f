"""From a repository to a container that serves it: what is checked, asked for, and waited for."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tritonforge.errors import Diagnostic, Where
from tritonforge.server.docker.client import connect, find_image, told
from tritonforge.server.docker.container import container_arguments, stop_timeout_s
from tritonforge.server.docker.leftovers import remove_launched, remove_unguarded
from tritonforge.server.docker.names import CREATING, READY
from tritonforge.server.docker.owners import name_owner
from tritonforge.server.docker.server import DockerServer
from tritonforge.server.docker.settings import DockerSettings, release_image
from tritonforge.server.docker.taken_ports import telling_of_ports
from tritonforge.server.embedded import with_key
from tritonforge.server.errors import PreflightError, ServerError, SettingsError
from tritonforge.server.guard.workspace import Workspace
from tritonforge.server.launch import resolve_ports, served_folder
from tritonforge.server.preflight import check_repository
from tritonforge.server.repository.completion import note_completion, settle_completion
from tritonforge.server.repository.manifest import check_manifest, read_target
from tritonforge.server.repository.reloading import Served
from tritonforge.server.repository.shared_memory import beyond_memory, choose_shared_memory, needed_shared_memory
from tritonforge.server.settings.certificates import check_certificates
from tritonforge.server.settings.checks import check_load_models
from tritonforge.server.settings.errors import unknown_settings
from tritonforge.server.settings.server import ServerSettings
from tritonforge.server.state.process_identity import ProcessIdentity, identify

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

__all__ = ["start_docker"]

_GUARD = "tritonforge.server.docker.guard"
_POLL_S = 0.02
_LAST_WORDS_S = 15.0
"""What the guard has to start, and for the rest of the log and the container's removal."""


def start_docker(
    repository: str | os.PathLike[str],
    settings: ServerSettings | None,
    *,
    name: str,
    docker: DockerSettings | None,
    workspace: Workspace | None,
    projects: Sequence[Path],
    progress: Callable[[str], None],
    overrides: Mapping[str, Any],
) -> DockerServer:
    """Start a container: what `Server.docker` does."""
    folder, given = Path(repository).resolve(), dict(overrides)
    if docker is None:
        if unknown := unknown_settings(given, [*DockerSettings.model_fields, *ServerSettings.model_fields]):
            raise SettingsError(unknown)
        docker = DockerSettings.load(**{key: given.pop(key, None) for key in DockerSettings.model_fields})
    wanted = with_key(ServerSettings.load(**given) if settings is None else settings.replace(**given))
    found = [*check_repository(folder), *check_manifest(folder)]
    if found := [*found, *check_load_models(folder, wanted), *check_certificates(wanted)]:
        raise PreflightError(found)
    if docker.restart != "no":
        wanted = resolve_ports(wanted)  # Docker would choose others each time
    with ExitStack() as undo:
        workspace = undo.enter_context(workspace or Workspace())
        client = undo.enter_context(closing(connect()))
        launch = workspace.token
        _watch_over(launch, wanted, workspace)
        with told("Docker can't be asked for its machine"):
            machine = client.info()
        _check_processors(docker, int(machine.get("NCPU") or 0))
        name_of_image = docker.image or release_image(read_target(folder))
        image = find_image(client, name_of_image, pull=docker.pull, progress=progress)
        needed = needed_shared_memory(folder, backends=image.python_backends, gpus=docker.gpu_count)
        shared_memory = choose_shared_memory(needed, docker.shm_size)
        for warning in beyond_memory(shared_memory, int(machine.get("MemTotal") or 0)):
            progress(str(warning))
        wanted = settle_completion(wanted, folder)
        served = Served(folder, served_folder(folder, wanted, workspace), tuple(projects))
        note_completion(wanted, folder, served.folder)
        name = name or launch
        arguments = container_arguments(
            served,
            wanted,
            docker,
            image=image,
            name=name,
            launch=launch,
            guard=name_owner(workspace.server_pid or 0),
            shm_bytes=shared_memory.size,
        )
        _await_guard(workspace)
        if remove_unguarded(client, name):
            progress(f"removed the container of an earlier server {name}, whose guard was killed")
        with telling_of_ports(wanted), told(f"the container of {image.name} can't be started"):
            container = _create(client, arguments, workspace.folder / CREATING)
            container.start()
        server = DockerServer(
            container,
            served,
            wanted,
            name=name,
            workspace=workspace,
            shared_memory=shared_memory,
            python_backends=image.python_backends,
        )
        server.await_ready()
        undo.pop_all()
    return server


def _check_processors(docker: DockerSettings, there: int) -> None:
    """Refuse more processors than there are before an image is pulled: Docker does so at the start (20.10)."""
    if docker.cpus and there and docker.cpus > there:
        message = f"found {docker.cpus:g}: Docker's machine has {there} processors"
        raise SettingsError([Diagnostic("TF501", Where(subject="cpus"), message)])


def _create(client: DockerClient, arguments: Mapping[str, Any], note: Path) -> Container:
    """Create a container, with a note for the guard in the meantime: Docker goes on where this is killed."""
    note.touch()
    try:
        container = client.containers.create(**arguments)
    except Exception:
        note.unlink()
        raise
    note.unlink()
    return container


def _watch_over(launch: str, settings: ServerSettings, workspace: Workspace) -> None:
    """Have the container of this launch removed at the end of this process, however that ends.

    Where the guard ends first, and wasn't able to remove it, this process does.
    """
    seconds = stop_timeout_s(settings)
    command = [sys.executable, "-m", _GUARD, launch, str(seconds)]
    workspace.launch(
        command,
        os.environ,
        exit_timeout_s=seconds + _LAST_WORDS_S,
        log_limit=int(settings.log_limit),
        kill_signal=signal.SIGTERM,  # a second one: it has a container to remove
    )
    workspace.at_end.append(partial(_remove_for_guard, launch, identify(workspace.server_pid or 0)))


def _remove_for_guard(launch: str, guard: ProcessIdentity | None, code: int) -> None:
    """Remove what a guard left that was killed; one that has outlived its supervisor does that itself."""
    if code and not (guard and guard.alive()):
        with suppress(ServerError):
            remove_launched(launch)


def _await_guard(workspace: Workspace) -> None:
    """Wait until the guard heeds signals: from then on no container is left behind.

    Raises:
        ServerError: it has ended, or isn't there in time.
    """
    deadline = time.monotonic() + _LAST_WORDS_S
    while not (workspace.folder / READY).exists():
        if workspace.poll() is not None or time.monotonic() > deadline:
            raise ServerError(f"the process that is to watch over the container doesn't start; see {workspace.log}")
        time.sleep(_POLL_S)
