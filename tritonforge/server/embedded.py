"""The embedded server: tritonserver from the wheel, started, watched and stopped from this process."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from typing_extensions import Self

from tritonforge.server.catalog import ServedModel, describe_models
from tritonforge.server.errors import ServerDied
from tritonforge.server.health import Health, ModelState
from tritonforge.server.launch import await_ready, local_host, resolve_ports, start
from tritonforge.server.machine import Machine
from tritonforge.server.preflight import preflight
from tritonforge.server.settings import PORTS, ServerSettings
from tritonforge.server.sources import read_sources
from tritonforge.server.workspace import Workspace

__all__ = ["Server"]

_ATTEMPTS = 3
"""How often a start is tried whose free ports another process took first."""


class Server:
    """A running Triton server with all its models ready.

    Start it with `Server.embedded(repository)`; use it in a `with` block, or call `stop()`. It ends with this process,
    however that ends.
    """

    def __init__(
        self,
        repository: Path,
        settings: ServerSettings,
        *,
        machine: Machine,
        workspace: Workspace,
        projects: Sequence[Path] = (),
    ) -> None:
        self.repository = repository
        self.settings = settings
        self._workspace = workspace
        self._health = Health(local_host(settings.host), settings.http_port)
        self._log: int | None = None
        try:
            served = start(repository, settings, machine=machine, workspace=workspace)
            # Kept open: the log can then be read when its folder is gone.
            self._log = os.open(workspace.log, os.O_RDONLY | os.O_CLOEXEC)
            sources = read_sources(repository, served=served, projects=projects)
            await_ready(workspace, settings, sources=sources, read_log=self.log_text)
        except BaseException:
            self.stop()
            raise

    @classmethod
    def embedded(
        cls,
        repository: str | os.PathLike[str],
        settings: ServerSettings | None = None,
        *,
        workspace: Workspace | None = None,
        projects: Sequence[Path] = (),
        **overrides: Any,
    ) -> Self:
        """Start tritonserver from the nvidia-pytriton wheel on a model repository, and wait until it is ready.

        Settings come from TRITONFORGE_* variables unless `settings` is given; `overrides` are fields of theirs
        (`http_port=0`). A `workspace` is one whose folder the caller has put things in; it is closed with the server.
        `projects` are folders to look for the user's sources in, when an error in one is told.

        Raises:
            SettingsError: settings that can't be.
            PreflightError: what this machine lacks, a port that is taken, a folder that is no model repository.
            ModelLoadError: models that failed to load, each with its reason.
            ServerDied: the server ended before it was ready.
            ServerTimeout: it was not ready within `ready_timeout_s`.
        """
        folder = Path(repository).absolute()
        attempts = 1 if workspace else _ATTEMPTS
        try:
            wanted = ServerSettings.load(**overrides) if settings is None else settings.replace(**overrides)
            machine = preflight(folder, wanted)
        except BaseException:
            if workspace is not None:
                workspace.close()
            raise
        while True:
            attempts -= 1
            try:
                return cls(
                    folder,
                    resolve_ports(wanted),
                    machine=machine,
                    workspace=workspace or Workspace(),
                    projects=projects,
                )
            except ServerDied as died:
                chosen = any(getattr(wanted, name) == 0 for name in PORTS)
                if not (attempts and chosen and "already in use" in died.log):
                    raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def http_url(self) -> str:
        """The address for HTTP clients: `http://127.0.0.1:8000`."""
        return f"http://{local_host(self.settings.host)}:{self.settings.http_port}"

    @property
    def grpc_url(self) -> str:
        """The address for gRPC clients: `grpc://127.0.0.1:8001`; tritonclient wants it without the scheme."""
        return f"grpc://{local_host(self.settings.host)}:{self.settings.grpc_port}"

    @property
    def metrics_url(self) -> str:
        """The page of metrics for Prometheus."""
        return f"http://{local_host(self.settings.host)}:{self.settings.metrics_port}/metrics"

    @property
    def pid(self) -> int:
        """The process id of tritonserver."""
        assert self._workspace.server_pid is not None
        return self._workspace.server_pid

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
        """List each version of each model, with its state.

        Raises:
            ServerError: the server doesn't answer.
        """
        return self._health.models()

    def describe(self) -> list[ServedModel]:
        """List each version of each model, with its state, kind and signature.

        Raises:
            ServerError: the server doesn't answer.
        """
        return describe_models(self.models(), self.repository, self._health)

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait for the server to end by itself, and give its exit code; None if the time was up first."""
        return self._workspace.wait(timeout_s)

    def stop(self) -> int:
        """Let requests under way finish, for `exit_timeout_s`; then end the server and all it left; give its exit code.

        A KeyboardInterrupt while it waits kills the server. A second call does nothing.
        """
        return self._workspace.close()

    def __del__(self) -> None:
        log = getattr(self, "_log", None)
        if log is not None:
            os.close(log)
