"""The embedded server: tritonserver from the wheel, started, watched and stopped from this process.

What isn't needed to start it is imported while it starts (`_import_the_rest`), or when it is first used.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from typing_extensions import Self

from tritonforge.server.diagnosis.follow import follow_file
from tritonforge.server.errors import ServerDied, ServerError
from tritonforge.server.guard.workspace import Workspace
from tritonforge.server.installed.backends import PYTHON_BACKENDS
from tritonforge.server.launch import local_host, resolve_ports, start
from tritonforge.server.machine import Machine
from tritonforge.server.preflight import preflight
from tritonforge.server.protocol import Runtime, Server
from tritonforge.server.settings.server import PORTS, ServerSettings
from tritonforge.server.settings.writable import needing_room

if TYPE_CHECKING:
    from tritonforge.server.asking.catalog import ServedModel
    from tritonforge.server.asking.health import Health, ModelState
    from tritonforge.server.asking.statistics import ModelStatistics
    from tritonforge.server.asking.status import ModelStatus

__all__ = ["EmbeddedServer", "start_embedded", "with_free_ports", "with_key"]

_Started = TypeVar("_Started")

_ATTEMPTS = 3
"""How often a start is tried whose free ports another process took first."""
_TAKEN = "already in use"
"""What tritonserver (24.10) says then of the socket."""


class EmbeddedServer(Server):
    """A Triton server that is a process of this machine, with all its models ready: see `Server.embedded`.

    It ends with this process, however that ends.
    """

    runtime: Runtime = "embedded"

    def __init__(
        self,
        repository: Path,
        settings: ServerSettings,
        *,
        machine: Machine,
        workspace: Workspace,
        name: str = "",
        projects: Sequence[Path] = (),
    ) -> None:
        self.name = name
        self.repository = repository
        self.settings = settings
        self._workspace = workspace
        self._log: int | None = None
        try:
            # Kept open from before the start: the log can then be read when its folder is gone, which may be at once.
            with needing_room(workspace.folder.parent):
                self._log = os.open(workspace.log, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
            folder = start(repository, settings, machine=machine, workspace=workspace)
            _import_the_rest()
            from tritonforge.server.diagnosis.older_log import with_older
            from tritonforge.server.diagnosis.sources import read_sources
            from tritonforge.server.readiness import await_ready
            from tritonforge.server.repository.reloading import Served

            self.served = Served(repository, folder, tuple(projects))
            sources = read_sources(repository, served=folder, projects=projects)
            with with_older(workspace.log, self.log_text) as read_log:
                await_ready(workspace, settings, sources=sources, read_log=read_log)
        except BaseException:
            self.stop()
            raise

    @cached_property
    def _health(self) -> Health:
        from tritonforge.server.readiness import health_of

        return health_of(self.settings)

    @property
    def http_url(self) -> str:
        """The address for HTTP clients: `http://127.0.0.1:8000`."""
        return f"http://{local_host(self.settings.host)}:{self.settings.http_port}"

    @property
    def grpc_url(self) -> str:
        """The address for gRPC clients, `grpc://127.0.0.1:8001` (TLS: `grpcs://…`); empty where there is none."""
        if not self.settings.serves_grpc:
            return ""
        return f"{self.settings.grpc_scheme}://{local_host(self.settings.host)}:{self.settings.grpc_port}"

    @property
    def metrics_url(self) -> str:
        """The page of metrics for Prometheus; empty where there is none."""
        if not self.settings.metrics:
            return ""
        return f"http://{local_host(self.settings.host)}:{self.settings.metrics_port}/metrics"

    @property
    def pid(self) -> int:
        """The process id of tritonserver."""
        assert self._workspace.server_pid is not None
        return self._workspace.server_pid

    @property
    def python_backends(self) -> tuple[str, ...]:
        """The backends whose models run in processes of their own: another server's have its native libraries."""
        return PYTHON_BACKENDS[:1] if self.settings.tritonserver else PYTHON_BACKENDS

    @property
    def log_path(self) -> Path:
        """The file that the server and its models write to; it goes when the server does."""
        return self._workspace.log

    def log_text(self) -> str:
        """Read all that the server and its models have written, also after the end."""
        if self._log is None:
            return ""
        return os.pread(self._log, os.fstat(self._log).st_size, 0).decode(errors="replace")

    def models(self) -> list[ModelState]:
        """List each version of each model, with its state."""
        return self._health.models()

    def describe(self) -> list[ServedModel]:
        """List each version of each model, with its state, kind and signature."""
        from tritonforge.server.asking.catalog import describe_models

        return describe_models(self.models(), self.served.folder, self._health)

    def statistics(self) -> list[ModelStatistics]:
        """Give each loaded version's counts and times since it was loaded."""
        from tritonforge.server.asking.statistics import read_statistics

        return read_statistics(self._health)

    def load(self, model: str) -> None:
        """Load a model of the repository, and wait until it serves."""
        from tritonforge.server.repository.reloading import reload_model

        reload_model(self._health, model, self.served, read_log=self.log_text)

    def unload(self, model: str) -> None:
        """Unload a model; requests under way finish."""
        from tritonforge.server.asking.control import unload_model

        unload_model(self._health, model)

    def reload(self, model: str) -> None:
        """Load what the repository now has of a model; also where its files are unchanged, but its process has died."""
        from tritonforge.server.repository.reloading import reload_model

        reload_model(self._health, model, self.served, read_log=self.log_text)

    def changed_models(self) -> list[str]:
        """Name the models of which the repository now has other files than the server, new ones too."""
        return self.served.changed()

    def status(self) -> list[ModelStatus]:
        """Give how each model is doing, and whether its processes live.

        Raises:
            ServerError: the server doesn't answer.
        """
        from tritonforge.server.asking.status import model_statuses

        return model_statuses(
            self,
            self._health,
            server_pid=self.pid,
            python_backends=self.python_backends,
            repository=self.repository,
            failed=self.served.failed(),
        )

    def follow_log(self) -> Iterator[str]:
        """Give the log as it grows, in pieces, from its start until the server's end."""
        assert self._log is not None
        return follow_file(self._log, ended=lambda: self._workspace.poll() is not None)

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait for the server to end by itself, and give its exit code; None if the time was up first."""
        return self._workspace.wait(timeout_s)

    def stop(self) -> int:
        """Let requests under way finish, for `exit_timeout_s`; then end the server and all it left; give its exit code.

        HTTP connections on which nothing is under way are closed, where the system allows it and no model streams. A
        KeyboardInterrupt while it waits kills the server. A second call does nothing.
        """
        from tritonforge.server.guard.streaming import may_stream

        return self._workspace.close(idle_port=lambda: 0 if may_stream(self._health) else self.settings.http_port)

    def __enter__(self) -> Self:
        if self._workspace.poll() is not None:
            raise ServerError("this server has ended; start another with Server.embedded(…)")
        return self

    def __del__(self) -> None:
        log = getattr(self, "_log", None)
        if log is not None:
            os.close(log)


def start_embedded(
    repository: str | os.PathLike[str],
    settings: ServerSettings | None,
    *,
    name: str,
    workspace: Workspace | None,
    projects: Sequence[Path],
    overrides: Mapping[str, Any],
) -> EmbeddedServer:
    """Start a server: what `Server.embedded` does."""
    folder = Path(repository).absolute()
    try:
        wanted = ServerSettings.load(**overrides) if settings is None else settings.replace(**overrides)
        wanted = with_key(wanted)
        machine = preflight(folder, wanted)
    except BaseException:
        if workspace is not None:
            workspace.close()
        raise

    def start_it() -> EmbeddedServer:
        return EmbeddedServer(
            folder,
            resolve_ports(wanted),
            machine=machine,
            workspace=workspace or Workspace(),
            name=name,
            projects=projects,
        )

    return start_it() if workspace is not None else with_free_ports(wanted, start_it)


def with_free_ports(settings: ServerSettings, start_it: Callable[[], _Started]) -> _Started:
    """Start a server, and start it again where another process took a port first that was found free for it."""
    left = _ATTEMPTS if any(getattr(settings, port) == 0 for port in PORTS) else 1
    while True:
        left -= 1
        try:
            return start_it()
        except ServerDied as died:
            if not left or _TAKEN not in died.log:
                raise


def _import_the_rest() -> None:
    """Import what is needed until the server's end, while it starts: here nobody waits for it."""


def with_key(settings: ServerSettings) -> ServerSettings:
    """Give the settings with a new key, where they restrict APIs and name none."""
    if not settings.restricted or settings.restricted_key is not None:
        return settings
    return settings.replace(restricted_key=secrets.token_urlsafe(24))
