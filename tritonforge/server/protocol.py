"""What every running server offers, whatever runs it: a process here, a container, or someone else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol

from typing_extensions import Self

if TYPE_CHECKING:
    from tritonforge.server.asking.catalog import ServedModel
    from tritonforge.server.asking.health import ModelState
    from tritonforge.server.asking.statistics import ModelStatistics
    from tritonforge.server.asking.status import ModelStatus
    from tritonforge.server.attached import AttachedServer
    from tritonforge.server.docker.server import DockerServer
    from tritonforge.server.docker.settings import DockerSettings
    from tritonforge.server.embedded import EmbeddedServer
    from tritonforge.server.guard.workspace import Workspace
    from tritonforge.server.settings.server import ServerSettings

__all__ = ["Runtime", "Server"]

Runtime = Literal["embedded", "docker", "attached"]
"""What runs a server: a process of this machine, a container, or someone else."""


class Server(Protocol):
    """A running Triton server. Use it in a `with` block, or call `stop()`.

    `Server.embedded(repository)` and `Server.attached(url)` give one; a runtime is a class that derives from this.
    """

    name: str
    """What `status`, `logs` and `down` know it by; empty where it has none."""

    runtime: Runtime

    @property
    def http_url(self) -> str:
        """The address for HTTP clients: `http://127.0.0.1:8000`."""
        raise NotImplementedError

    @property
    def grpc_url(self) -> str:
        """The address for gRPC clients, `grpc://127.0.0.1:8001` (TLS: `grpcs://…`); empty where there is none known."""
        raise NotImplementedError

    @property
    def metrics_url(self) -> str:
        """The page of metrics for Prometheus; empty where there is none, or it isn't known."""
        raise NotImplementedError

    def models(self) -> list[ModelState]:
        """List each version of each model, with its state.

        Raises:
            ServerError: the server doesn't answer, or wants a key.
        """
        raise NotImplementedError

    def describe(self) -> list[ServedModel]:
        """List each version of each model, with its state, kind and signature.

        Raises:
            ServerError: the server doesn't answer, or wants a key.
        """
        raise NotImplementedError

    def statistics(self) -> list[ModelStatistics]:
        """Give each loaded version's counts and times since it was loaded.

        Raises:
            ServerError: the server doesn't answer, or wants a key.
        """
        raise NotImplementedError

    def status(self) -> list[ModelStatus]:
        """Give how each model is doing: its state, processes, queue, requests and times.

        Raises:
            ServerError: the server doesn't answer, or wants a key.
        """
        raise NotImplementedError

    def load(self, model: str) -> None:
        """Load a model of the repository, and wait until it serves.

        Raises:
            ModelLoadError: it failed to load, with the reason; a version that served goes on serving.
            ServerError: the server doesn't answer, or its model control is not explicit.
        """
        raise NotImplementedError

    def unload(self, model: str) -> None:
        """Unload a model; requests under way finish.

        Raises:
            ServerError: the server doesn't answer, doesn't know the model, or its model control is not explicit.
        """
        raise NotImplementedError

    def reload(self, model: str) -> None:
        """Load what the repository now has of a model; also where its files are unchanged, but its process has died.

        Requests under way finish on the old version.

        Raises:
            ModelLoadError: it failed to load, with the reason; the old version goes on serving.
            ServerError: the server doesn't answer, or its model control is not explicit.
        """
        raise NotImplementedError

    def log_text(self) -> str:
        """Read all that the server and its models have written, also after the end; empty of one that others run."""
        raise NotImplementedError

    def follow_log(self) -> Iterator[str]:
        """Give the log as it grows, in pieces, from its start until the server's end."""
        raise NotImplementedError

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait for the server to end by itself, and give its exit code; None if the time was up first."""
        raise NotImplementedError

    def stop(self) -> int:
        """Let requests under way finish, end the server and all it left; give its exit code.

        A second call does nothing. A server that someone else runs is left running.
        """
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @staticmethod
    def embedded(
        repository: str | os.PathLike[str],
        settings: ServerSettings | None = None,
        *,
        name: str = "",
        workspace: Workspace | None = None,
        projects: Sequence[Path] = (),
        **overrides: Any,
    ) -> EmbeddedServer:
        """Start tritonserver on a model repository, as a process, and wait until it is ready.

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
        from tritonforge.server.embedded import start_embedded

        return start_embedded(
            repository, settings, name=name, workspace=workspace, projects=projects, overrides=overrides
        )

    @staticmethod
    def docker(
        repository: str | os.PathLike[str],
        settings: ServerSettings | None = None,
        *,
        name: str = "",
        docker: DockerSettings | None = None,
        workspace: Workspace | None = None,
        projects: Sequence[Path] = (),
        progress: Callable[[str], None] = lambda line: None,
        **overrides: Any,
    ) -> DockerServer:
        """Start a container on a model repository, mounted read-only, and wait until it is ready.

        Settings of the server, `workspace` and `projects` are as for `embedded`. `overrides` may be fields of
        `DockerSettings` too, unless `docker` is given (`image=…`, `memory="2g"`). The container ends with this process,
        however that ends. `progress` gets lines while an image is pulled, and warnings.

        Raises:
            SettingsError: settings that can't be.
            PreflightError: no Docker, no image, a folder that is no model repository.
            ModelLoadError: models that failed to load, each with its reason.
            ServerDied: the container ended before it was ready.
            ServerTimeout: it was not ready within `ready_timeout_s`.
            ServerError: Docker refuses, with its reason: a taken port, GPUs that it can't give.
        """
        from tritonforge.server.docker.launch import start_docker

        return start_docker(
            repository,
            settings,
            name=name,
            docker=docker,
            workspace=workspace,
            projects=projects,
            progress=progress,
            overrides=overrides,
        )

    @staticmethod
    def attached(url: str, *, grpc_url: str = "", metrics_url: str = "", key: str = "") -> AttachedServer:
        """Reach a server that someone else runs, by its HTTP address; nothing here starts or ends it.

        `key` opens its restricted APIs, if it has some.

        Raises:
            ServerError: nobody answers there.
        """
        from tritonforge.server.attached import attach

        return attach(url, grpc_url=grpc_url, metrics_url=metrics_url, key=key)
