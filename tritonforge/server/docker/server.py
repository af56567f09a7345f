"""A server in a container: started, watched and ended through Docker's API."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import Self

from tritonforge.errors import Diagnostic, Where
from tritonforge.server.asking.catalog import ServedModel, describe_models
from tritonforge.server.asking.control import unload_model
from tritonforge.server.asking.health import ModelState
from tritonforge.server.asking.statistics import ModelStatistics, read_statistics
from tritonforge.server.asking.status import ModelStatus, model_statuses
from tritonforge.server.asking.stubs import StubWatch
from tritonforge.server.diagnosis.definition import definition_of
from tritonforge.server.diagnosis.end import server_died
from tritonforge.server.diagnosis.failures import explain_dead_stubs, explain_failures
from tritonforge.server.diagnosis.follow import follow_file
from tritonforge.server.diagnosis.log import last_words
from tritonforge.server.diagnosis.sources import Sources, read_sources
from tritonforge.server.docker.client import told
from tritonforge.server.docker.container import INSIDE, MODELS
from tritonforge.server.docker.hints import hints_of_image, telling_of_image
from tritonforge.server.docker.memory import blame_memory, short_of_memory
from tritonforge.server.docker.process import server_process
from tritonforge.server.errors import ModelLoadError, PreflightError, ServerError, ServerTimeout
from tritonforge.server.guard.workspace import Workspace
from tritonforge.server.launch import local_host
from tritonforge.server.protocol import Runtime, Server
from tritonforge.server.readiness import health_of
from tritonforge.server.repository.reloading import Served, reload_model
from tritonforge.server.repository.shared_memory import SharedMemory, explain_full
from tritonforge.server.settings.server import ServerSettings

if TYPE_CHECKING:
    from docker.models.containers import Container

__all__ = ["DockerServer"]

_POLL_S = 0.02
_LOOK_S = 0.25
"""How often the processes of models are looked at."""

_NO_PROGRAM = re.compile(r"exec (?P<program>tritonserver|python3) failed: (?P<reason>.*)")
_CANT_RUN = (126, 127)
_TRITONS = "name one of NVIDIA's (nvcr.io/nvidia/tritonserver), or make one of your own: tritonforge image"
"""What images hold that `up` starts: the server, and for keys python3."""

_LAST_WORDS_S = 15.0
"""What the guard has for the rest of the log, and for the container's removal."""


class DockerServer(Server):
    """A running Triton server in a container, with all its models ready."""

    runtime: Runtime = "docker"

    def __init__(
        self,
        container: Container,
        served: Served,
        settings: ServerSettings,
        *,
        name: str,
        workspace: Workspace,
        shared_memory: SharedMemory,
        python_backends: tuple[str, ...],
    ) -> None:
        self.name = name
        self.served = served
        self.repository = served.repository
        self.shared_memory = shared_memory
        self.python_backends = python_backends
        self._container = container
        self._workspace = workspace
        # Kept open: the log can then be read when its folder is gone.
        self._log = os.open(workspace.log, os.O_RDONLY | os.O_CLOEXEC)
        self.settings = settings.replace(**self._published())
        self._health = health_of(self.settings)

    @property
    def container_id(self) -> str:
        """The container's id, as Docker has it."""
        return str(self._container.id)

    @property
    def pid(self) -> int:
        """The process id of tritonserver, as this machine has it; the container's first where Docker is elsewhere."""
        return server_process(self._container) or int(self._container.attrs["State"]["Pid"])

    @property
    def log_path(self) -> Path:
        """The file that has what the container writes; it goes when the server does."""
        return self._workspace.log

    @property
    def http_url(self) -> str:
        """The address for HTTP clients."""
        return f"http://{self._host}:{self.settings.http_port}"

    @property
    def grpc_url(self) -> str:
        """The address for gRPC clients; empty where there is none."""
        if not self.settings.serves_grpc:
            return ""
        return f"{self.settings.grpc_scheme}://{self._host}:{self.settings.grpc_port}"

    @property
    def metrics_url(self) -> str:
        """The page of metrics for Prometheus; empty where there is none."""
        if not self.settings.metrics:
            return ""
        return f"http://{self._host}:{self.settings.metrics_port}/metrics"

    @property
    def _host(self) -> str:
        return local_host(self.settings.host)

    def models(self) -> list[ModelState]:
        """List each version of each model, with its state."""
        return self._health.models()

    def describe(self) -> list[ServedModel]:
        """List each version of each model, with its state, kind and signature."""
        return describe_models(self.models(), self.served.folder, self._health)

    def statistics(self) -> list[ModelStatistics]:
        """Give each loaded version's counts and times since it was loaded."""
        return read_statistics(self._health)

    def status(self) -> list[ModelStatus]:
        """Give how each model is doing."""
        with told("the container is gone"):
            self._container.reload()
        process = server_process(self._container)
        return model_statuses(
            self,
            self._health,
            server_pid=process,
            python_backends=self.python_backends,
            repository=self.repository,
            failed=self.served.failed(),
        )

    def load(self, model: str) -> None:
        """Load a model of the repository, and wait until it serves."""
        self.reload(model)

    def unload(self, model: str) -> None:
        """Unload a model; requests under way finish."""
        unload_model(self._health, model)

    def reload(self, model: str) -> None:
        """Load what the repository now has of a model."""
        with telling_of_image():
            reload_model(self._health, model, self.served, read_log=self.log_text)

    def changed_models(self) -> list[str]:
        """Name the models of which the repository now has other files than the server, new ones too."""
        return self.served.changed()

    def log_text(self) -> str:
        """Read all that the container has written, also after the end."""
        return os.pread(self._log, os.fstat(self._log).st_size, 0).decode(errors="replace")

    def follow_log(self) -> Iterator[str]:
        """Give the log as it grows, in pieces, from its start until the container's end."""
        return follow_file(self._log, ended=lambda: self._workspace.poll() is not None)

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait for the server to end by itself, and give its exit code; None if the time was up first."""
        return self._workspace.wait(timeout_s)

    def stop(self) -> int:
        """Let requests under way finish, then end and remove the container; give its exit code."""
        if self._container.client is not None:
            self._container.client.close()
        return self._workspace.close()

    def __enter__(self) -> Self:
        if self._workspace.poll() is not None:
            raise ServerError("this server has ended; start another with Server.docker(…)")
        return self

    def __del__(self) -> None:
        log = getattr(self, "_log", None)
        if log is not None:
            os.close(log)

    def await_ready(self) -> None:
        """Wait until the server and all its models are ready.

        Raises:
            ModelLoadError: models that failed to load.
            ServerDied: the container ended.
            PreflightError: its image holds no Triton server.
            ServerTimeout: it was not ready within `ready_timeout_s`.
        """
        deadline = time.monotonic() + self.settings.ready_timeout_s
        watch, look_at = StubWatch(0), 0.0
        while True:
            if (code := self._workspace.poll()) is not None:
                raise self._died(code)
            status = self._health.status()
            if status is not None:
                self._refuse_failures(ready=status == 200)
                if status == 200 and self._lives():
                    return
            if time.monotonic() >= look_at:
                look_at = time.monotonic() + _LOOK_S
                if not watch.server_pid:  # not started yet
                    watch = StubWatch(server_process(self._container))
                if dead := watch.dead():
                    self._refuse(explain_dead_stubs(dead, self.log_text(), self._sources(), alive=watch.alive()))
            if time.monotonic() >= deadline:
                log, memory = self.log_text(), short_of_memory(self._container)
                state = f"its container is up{f'; {memory}' if memory else ''}"
                raise ServerTimeout(self.settings.ready_timeout_s, state, last_words(log), log=log)
            time.sleep(_POLL_S)

    def _published(self) -> dict[str, int]:
        """Find the ports of this machine at which the container is reached.

        Raises:
            ServerDied: it has ended already.
            PreflightError: its image holds no Triton server.
        """
        with told("the container is gone"):
            self._container.reload()
        ports = self._container.attrs["NetworkSettings"]["Ports"] or {}
        found = {port: ports.get(f"{inside}/tcp") for port, inside in INSIDE.items()}
        if not all(found.values()):
            code = self.wait(_LAST_WORDS_S)
            raise self._died(1 if code is None else code)
        return {port: int(published[0]["HostPort"]) for port, published in found.items() if published}

    def _died(self, code: int) -> ServerError:
        """Say why the container has ended: its server died, or there is none."""
        log = self.log_text()
        missing = _NO_PROGRAM.search(log) if code in _CANT_RUN else None
        if missing is None:
            return server_died(code, log)
        where = Where(subject=f"image {self._container.attrs['Config']['Image']}")
        message = f"holds no Triton server: {missing['program']}, {missing['reason']}"
        return PreflightError([Diagnostic("TF531", where, message, _TRITONS)])

    def _refuse_failures(self, *, ready: bool) -> None:
        log, states = self.log_text(), list[ModelState]()
        with suppress(ServerError):  # a server that isn't ready may not tell yet
            states = self.models()
        self._refuse(explain_failures(states, log, self._sources(), ready=ready, wanted=self.settings.load_models))

    def _sources(self) -> Sources:
        return read_sources(self.repository, served=Path(MODELS), projects=self.served.projects)

    def _lives(self) -> bool:
        """Tell whether the server still answers; refuse processes that died since their models were loaded.

        Triton says nothing of those (24.10).
        """
        try:
            statuses = self.status()
        except ServerError:
            return False
        dead = [model.name for model in statuses if model.state == "READY" and not model.healthy]
        message, hint = "the process that runs its Python died once it was loaded", "the server's log may tell why (-v)"
        sources = self._sources()
        self._refuse([Diagnostic("TF523", definition_of(name, sources), message, hint) for name in dead])
        return True

    def _refuse(self, found: Sequence[Diagnostic]) -> None:
        """Raise what was found, if anything, with what the container has too little of."""
        if found:
            found = hints_of_image(explain_full(found, self.shared_memory))
            error = ModelLoadError(blame_memory(found, self._container))
            error.log = self.log_text()
            raise error
