"""From a repository to a running tritonserver: files, command and environment, then waiting until it serves."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tritonforge.errors import Diagnostic
from tritonforge.repository_files import stub_safe
from tritonforge.resources import python_backends
from tritonforge.server import ports
from tritonforge.server.backends import assemble_backends, keep_environments_in
from tritonforge.server.command import served_ports, server_command, server_environment
from tritonforge.server.errors import ModelLoadError, ServerDied, ServerError, ServerTimeout
from tritonforge.server.failures import explain_dead_stubs, explain_failures
from tritonforge.server.health import Health, ModelState
from tritonforge.server.installation import Installation, find_tritonserver
from tritonforge.server.libpython import SONAME, choose_libpython
from tritonforge.server.log import last_words, loading_models
from tritonforge.server.machine import Machine
from tritonforge.server.settings import PORTS, ServerSettings
from tritonforge.server.snapshot import can_link, take_snapshot
from tritonforge.server.sources import Sources
from tritonforge.server.stub_python import make_stub_python
from tritonforge.server.stubs import StubWatch
from tritonforge.server.workspace import Workspace
from tritonforge.server.writable import needing_room

__all__ = ["await_ready", "health_of", "key_header", "local_host", "resolve_ports", "served_folder", "start"]

_NO_BACKEND = "TF524"
_POLL_S = 0.01
_LOOK_S = 0.25
"""How often the processes of models are looked at, which costs more than asking the server."""


def start(repository: Path, settings: ServerSettings, *, machine: Machine, workspace: Workspace) -> Path:
    """Launch the server in a workspace; give the repository's path as the server has it: a snapshot where it can be.

    Raises:
        PreflightError: there is no room for its files.
        ServerError: it can't be launched.
    """
    served = _with_stubs(served_folder(repository, settings, workspace), workspace)
    named = find_tritonserver(settings.tritonserver) if settings.tritonserver else None
    if named is not None:
        installation, backends, python = named, named.backends, None
        libraries = [named.libraries]
    else:
        with needing_room(workspace.folder.parent):
            installation, backends, libraries = _embedded(machine, workspace)
            python = make_stub_python(workspace.folder / "python", os.environ)
    command = server_command(installation, served, backends, settings=settings, shared_memory=workspace.shared_memory)
    environment = server_environment(os.environ, python=python, libraries=libraries)
    secret = settings.restricted_key.get_secret_value() if settings.restricted_key and settings.restricted else ""
    workspace.launch(
        command,
        environment,
        exit_timeout_s=settings.exit_timeout_s,
        secret=secret,
        log_limit=int(settings.log_limit),
    )
    return served


def _embedded(machine: Machine, workspace: Workspace) -> tuple[Installation, Path, list[Path]]:
    """Put the wheel's server together: its files, its backend directory, the folders of its libraries."""
    libpython, installation = choose_libpython(machine.libpythons), machine.installation
    if libpython is None or installation is None:
        raise ServerError("this machine can't run the embedded server; see preflight()")
    folder = workspace.folder
    backends = assemble_backends(
        folder / "backends", installation, python=".".join(machine.python.split(".")[:2]), ours=python_backends()
    )
    environments = Path(f"/tmp/tf{workspace.token[:8]}")
    if keep_environments_in(environments, backends):
        workspace.own(environments)
    (folder / "lib").mkdir()
    (folder / "lib" / SONAME).symlink_to(libpython.path)
    return installation, backends, [folder / "lib", installation.libraries]


def served_folder(repository: Path, settings: ServerSettings, workspace: Workspace) -> Path:
    """Give the folder that the server is to read: a snapshot, beside the repository if only there it can link.

    Where there can be none, and where the server is to look for changes itself, it is the repository.
    """
    if settings.model_control != "poll":
        with contextlib.suppress(OSError):
            base = workspace.folder
            if not can_link(repository, base):
                base = workspace.own(repository.parent / f".{repository.name}.{workspace.folder.name}")
            return take_snapshot(repository, base / "repository")
    return repository


def _with_stubs(served: Path, workspace: Workspace) -> Path:
    """Give a folder by a path that stubs can be started from."""
    if stub_safe(str(served)):
        return served
    link = workspace.folder / "link"
    link.symlink_to(served)
    return link


def await_ready(
    workspace: Workspace, settings: ServerSettings, *, sources: Sources, read_log: Callable[[], str]
) -> None:
    """Wait until the server and all its models are ready.

    Raises:
        ModelLoadError: models that failed to load.
        ServerDied: the server ended.
        ServerTimeout: it was not ready within `ready_timeout_s`.
    """
    assert workspace.server_pid is not None
    deadline = time.monotonic() + settings.ready_timeout_s
    health = health_of(settings)
    watch, look_at = StubWatch(workspace.server_pid), 0.0
    while True:
        code = workspace.poll()
        if code is not None:
            raise ServerDied(code, last_words(read_log()), log=read_log())
        status = health.status()
        if status is not None and _serves(workspace.server_pid, settings):
            states = _states(health)
            found = explain_failures(states, read_log(), sources, ready=status == 200, wanted=settings.load_models)
            _refuse(_of_named(found, settings), read_log)
            if status == 200 and not any(state.state == "LOADING" for state in states):
                return
        if time.monotonic() >= look_at:
            look_at = time.monotonic() + _LOOK_S
            if dead := watch.dead():
                _refuse(explain_dead_stubs(dead, read_log(), sources, alive=watch.alive()), read_log)
        if time.monotonic() >= deadline:
            raise ServerTimeout(settings.ready_timeout_s, _pending(read_log()), last_words(read_log()), log=read_log())
        time.sleep(_POLL_S)


def resolve_ports(settings: ServerSettings) -> ServerSettings:
    """Put free ports in the place of those that are 0, and the address in the place of a name.

    Of a name Triton makes 255.255.255.255 (24.10, HTTP and metrics).
    """
    settings = settings.replace(host=ports.address_of(settings.host))
    wanted = [name for name in PORTS if getattr(settings, name) == 0]
    if not wanted:
        return settings
    return settings.replace(**dict(zip(wanted, ports.free_ports(settings.host, len(wanted)), strict=True)))


def health_of(settings: ServerSettings) -> Health:
    """Give what asks the server of some settings, with its key."""
    host = local_host(settings.host)
    grpc_address = "" if settings.grpc_tls_cert else f"{host}:{settings.grpc_port}"
    return Health(host, settings.http_port, key_header(settings), grpc_address=grpc_address)


def key_header(settings: ServerSettings) -> dict[str, str]:
    """Give the HTTP header that opens restricted APIs; none where nothing is restricted."""
    if settings.restricted_key is None or not settings.restricted:
        return {}
    return {settings.restricted_header: settings.restricted_key.get_secret_value()}


def local_host(host: str) -> str:
    """Give the address at which this machine reaches a server that listens on `host`."""
    return "127.0.0.1" if host == "0.0.0.0" else host


def _serves(pid: int, settings: ServerSettings) -> bool:
    """Tell whether it is this server that listens on all its ports, and not another that answers there."""
    listened = ports.listening(pid)
    return listened is None or served_ports(settings) <= listened


def _states(health: Health) -> Sequence[ModelState]:
    """List the models' states; none from a server whose model-repository API is restricted."""
    try:
        return health.models()
    except ServerError:
        return ()


def _of_named(found: Sequence[Diagnostic], settings: ServerSettings) -> Sequence[Diagnostic]:
    """Say where another server than the wheel's looked for the backends that it hasn't."""
    named = find_tritonserver(settings.tritonserver) if found and settings.tritonserver else None
    if named is None:
        return found
    hint = f"this server's backends are looked for in {named.backends}: put it there, or serve with one that has it"
    return [replace(one, hint=hint) if one.code == _NO_BACKEND else one for one in found]


def _refuse(diagnostics: Sequence[Diagnostic], read_log: Callable[[], str]) -> None:
    """Raise what was found, if anything."""
    if diagnostics:
        error = ModelLoadError(diagnostics)
        error.log = read_log()
        raise error


def _pending(log: str) -> str:
    """Say what a start still waits for."""
    models = loading_models(log)
    return f"still loading {', '.join(models)}" if models else "the server has loaded its models, but doesn't answer"
