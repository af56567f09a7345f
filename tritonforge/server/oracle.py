"""What the real server says of a repository's configurations, without running any model.

Every backend is replaced by one that does nothing (`null_backend`), so Triton's own core is all that is asked: reading,
validation, instances, warmup samples, ensembles. Auto-completion by backends is not.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tritonforge.repository_files import dead_links, stub_safe
from tritonforge.server.asking.health import Health, ModelState
from tritonforge.server.diagnosis.end import server_died
from tritonforge.server.diagnosis.log import last_words, read_failures
from tritonforge.server.errors import PreflightError, ServerTimeout
from tritonforge.server.guard.workspace import Workspace
from tritonforge.server.installed.null_backend import write_null_backends
from tritonforge.server.launch import local_host, resolve_ports
from tritonforge.server.machine import probe
from tritonforge.server.preflight import check_machine
from tritonforge.server.settings.command import server_command, server_environment
from tritonforge.server.settings.server import ServerSettings

__all__ = ["Verdict", "ask_server"]

_POLL_S = 0.01
_TIMEOUT_S = 120.0
_ABORTING = "terminate called "
_ABORT_S = 5.0
"""How long the server may take to abort: of 2,400 times 24.10 once went on running instead."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Triton's word on a model: whether it loads, and if not, why."""

    model: str
    accepted: bool
    words: str = ""


def ask_server(
    repository: Path,
    backends: Iterable[str],
    *,
    without: Collection[str] = (),
    arguments: tuple[str, ...] = (),
    timeout_s: float = _TIMEOUT_S,
) -> dict[str, Verdict]:
    """Start the server on a repository with nothing behind the backends; give its verdict on each model.

    `backends` are the names of all that the configurations use; the models `without` aren't shown to
    the server; `arguments` go to tritonserver.

    Raises:
        PreflightError: what this machine lacks for the server.
        ServerDied: the server ended.
        ServerTimeout: it hadn't gone through all models within `timeout_s`.
    """
    machine = probe()
    lacking = check_machine(machine)
    if lacking or machine.installation is None:
        raise PreflightError(lacking)
    settings = _settings(arguments)
    with Workspace() as workspace:
        served = _serve(repository.absolute(), workspace.folder / "repository", without)
        folder = write_null_backends(workspace.folder / "backends", {name for name in backends if name})
        command = server_command(
            machine.installation, served, folder, settings=settings, shared_memory=workspace.shared_memory
        )
        environment = server_environment(
            os.environ, python=workspace.folder, libraries=(machine.installation.libraries,)
        )
        workspace.launch(command, environment, exit_timeout_s=0)
        with workspace.log.open(errors="replace") as log:  # kept open: it is gone with the workspace
            states = _await_states(workspace, settings, log, timeout_s)
            return _verdicts(states, _read(log))


def _serve(repository: Path, link: Path, without: Collection[str]) -> Path:
    """Give the folder that the server is started on: the repository, a link to it, or a folder of links to models.

    Beside a link that leads nowhere Triton lists no models (24.10); the server isn't shown those.
    """
    if without := {*without, *dead_links(repository)}:
        link.mkdir()
        for path in repository.iterdir():
            if path.name not in without:
                (link / path.name).symlink_to(path)
    elif stub_safe(str(repository)):
        return repository
    else:
        link.symlink_to(repository)
    return link


def _settings(arguments: tuple[str, ...]) -> ServerSettings:
    flags = ("--strict-readiness=false", "--allow-grpc=false", *arguments)
    free = ServerSettings(http_port=0, grpc_port=0, metrics_port=0, exit_timeout_s=0, extra_args=flags)
    return resolve_ports(free)


def _await_states(workspace: Workspace, settings: ServerSettings, log: TextIO, timeout_s: float) -> list[ModelState]:
    """Wait until the server listens, which is after it has tried all models."""
    deadline = time.monotonic() + timeout_s
    look_at, aborting = time.monotonic() + _ABORT_S, False
    health = Health(local_host(settings.host), settings.http_port)
    while health.status() is None:
        code = workspace.poll()
        if time.monotonic() >= look_at and code is None:
            code = 128 + signal.SIGABRT if aborting else None
            look_at, aborting = time.monotonic() + _ABORT_S, _ABORTING in _read(log)
        if code is not None:
            raise server_died(code, _read(log))
        if time.monotonic() >= deadline:
            raise ServerTimeout(timeout_s, "still reading models", last_words(_read(log)), log=_read(log))
        time.sleep(_POLL_S)
    return health.models()


def _read(log: TextIO) -> str:
    log.seek(0)
    return log.read()


def _verdicts(states: Iterable[ModelState], log: str) -> dict[str, Verdict]:
    """Put index and log together: the index lists models, the log says why some never came to a load."""
    reasons = {failure.model: failure.syntax or failure.reason for failure in reversed(read_failures(log))}
    verdicts = {name: Verdict(name, accepted=False, words=words) for name, words in reasons.items()}
    for state in states:
        if state.state == "READY":
            if state.name not in reasons:
                verdicts.setdefault(state.name, Verdict(state.name, accepted=True))
        else:
            verdicts[state.name] = Verdict(
                state.name, accepted=False, words=state.reason or reasons.get(state.name, "")
            )
    return verdicts
