"""Waiting until a server that was launched serves, and telling why it doesn't.

Apart from `launch`: what it imports can be imported while the server starts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from tritonforge.errors import Diagnostic
from tritonforge.server import ports
from tritonforge.server.asking.health import Health, ModelState
from tritonforge.server.asking.stubs import StubWatch
from tritonforge.server.diagnosis.end import server_died
from tritonforge.server.diagnosis.failures import explain_dead_stubs, explain_failures
from tritonforge.server.diagnosis.log import last_words, loading_models
from tritonforge.server.diagnosis.sources import Sources
from tritonforge.server.errors import ModelLoadError, ServerError, ServerTimeout
from tritonforge.server.guard.workspace import Workspace
from tritonforge.server.installed.installation import find_tritonserver
from tritonforge.server.launch import local_host
from tritonforge.server.settings.command import served_ports
from tritonforge.server.settings.server import ServerSettings

__all__ = ["await_ready", "health_of", "key_header"]

_NO_BACKEND = "TF524"
_POLL_S = 0.01
_LOOK_S = 0.25
"""How often the processes of models are looked at, which costs more than asking the server."""


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
            raise server_died(code, read_log())
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


def health_of(settings: ServerSettings) -> Health:
    """Give what asks the server of some settings, with its key."""
    host = local_host(settings.host)
    grpc_address = "" if settings.grpc_tls_cert or not settings.serves_grpc else f"{host}:{settings.grpc_port}"
    return Health(host, settings.http_port, key_header(settings), grpc_address=grpc_address)


def key_header(settings: ServerSettings) -> dict[str, str]:
    """Give the HTTP header that opens restricted APIs; none where nothing is restricted."""
    if settings.restricted_key is None or not settings.restricted:
        return {}
    return {settings.restricted_header: settings.restricted_key.get_secret_value()}


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
