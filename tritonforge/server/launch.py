"""From a repository to a running tritonserver: files, command and environment, then waiting until it serves."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tritonforge.errors import Diagnostic
from tritonforge.resources import python_backends
from tritonforge.server import ports
from tritonforge.server.backends import assemble_backends
from tritonforge.server.command import served_ports, server_command, server_environment
from tritonforge.server.errors import ModelLoadError, ServerDied, ServerError, ServerTimeout
from tritonforge.server.failures import explain_dead_stubs, explain_failures
from tritonforge.server.health import Health, ModelState
from tritonforge.server.libpython import SONAME, choose_libpython
from tritonforge.server.log import last_words, loading_models
from tritonforge.server.machine import Machine
from tritonforge.server.repository import shell_safe
from tritonforge.server.settings import PORTS, ServerSettings
from tritonforge.server.sources import Sources
from tritonforge.server.stub_python import make_stub_python
from tritonforge.server.stubs import StubWatch
from tritonforge.server.workspace import Workspace

__all__ = ["await_ready", "local_host", "resolve_ports", "start"]

_POLL_S = 0.01
_LOOK_S = 0.25
"""How often the processes of models are looked at, which costs more than asking the server."""


def start(repository: Path, settings: ServerSettings, *, machine: Machine, workspace: Workspace) -> Path:
    """Launch the server in a workspace; give the repository's path as the server has it.

    Raises:
        ServerError: it can't be launched.
    """
    libpython, installation = choose_libpython(machine.libpythons), machine.installation
    if libpython is None or installation is None:
        raise ServerError("this machine can't run the embedded server; see preflight()")
    folder = workspace.folder
    backends = assemble_backends(
        folder / "backends", installation, python=".".join(machine.python.split(".")[:2]), ours=python_backends()
    )
    (folder / "lib").mkdir()
    (folder / "lib" / SONAME).symlink_to(libpython.path)
    served = repository
    if not shell_safe(str(repository)):
        served = folder / "repository"
        served.symlink_to(repository)
    command = server_command(installation, served, backends, settings=settings, shared_memory=workspace.shared_memory)
    environment = server_environment(
        os.environ,
        python=make_stub_python(folder / "python", os.environ),
        libraries=(folder / "lib", installation.libraries),
    )
    workspace.launch(command, environment, exit_timeout_s=settings.exit_timeout_s)
    return served


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
    health = Health(local_host(settings.host), settings.http_port)
    watch, look_at = StubWatch(workspace.server_pid), 0.0
    while True:
        code = workspace.poll()
        if code is not None:
            raise ServerDied(code, last_words(read_log()), log=read_log())
        status = health.status()
        if status is not None and _serves(workspace.server_pid, settings):
            found = explain_failures(_states(health), read_log(), sources, ready=status == 200)
            _refuse(found, read_log)
            if status == 200:
                return
        if time.monotonic() >= look_at:
            look_at = time.monotonic() + _LOOK_S
            if dead := watch.dead():
                _refuse(explain_dead_stubs(dead, read_log(), sources, alive=watch.alive()), read_log)
        if time.monotonic() >= deadline:
            raise ServerTimeout(settings.ready_timeout_s, _pending(read_log()), last_words(read_log()), log=read_log())
        time.sleep(_POLL_S)


def resolve_ports(settings: ServerSettings) -> ServerSettings:
    """Put free ports in the place of those that are 0."""
    wanted = [name for name in PORTS if getattr(settings, name) == 0]
    if not wanted:
        return settings
    return settings.replace(**dict(zip(wanted, ports.free_ports(settings.host, len(wanted)), strict=True)))


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
