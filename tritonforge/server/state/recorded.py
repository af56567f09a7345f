"""A server that `up` started elsewhere: reached through its record, and ended through its launcher."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tritonforge.server.asking.catalog import ServedModel, describe_models
from tritonforge.server.asking.status import ModelStatus, model_statuses, unloaded
from tritonforge.server.asking.survivors import Survivors
from tritonforge.server.attached import AttachedServer
from tritonforge.server.diagnosis.follow import follow_file
from tritonforge.server.diagnosis.sources import Sources, read_sources
from tritonforge.server.docker.hints import telling_of_image
from tritonforge.server.errors import ServerError
from tritonforge.server.guard.abandoned import MARK, sweep_abandoned
from tritonforge.server.repository.reloading import Served, reload_model
from tritonforge.server.state.records import ServerRecord, forget, remove_leftovers

__all__ = ["RecordedServer", "end", "own_sources"]

_POLL_S = 0.05
_AGAIN_S = 0.2
_HANGS_S = 10.0
"""How long a launcher that is told to kill its server may take for that."""
_PATIENCE_S = 40.0
"""How long a launcher may take to end its server beyond the exit timeout: somewhat longer than its own patience."""


class RecordedServer(AttachedServer):
    """The server of a record. Leaving a `with` block doesn't end it; `end(record)` does."""

    def __init__(self, record: ServerRecord) -> None:
        if not record.alive():
            raise ServerError(f"the server {record.name} has ended; its log: tritonforge logs {record.name}")
        if not record.ready:
            raise ServerError(f"the server {record.name} is still starting; its log: tritonforge logs {record.name}")
        super().__init__(
            record.http_url,
            grpc_url=record.grpc_url,
            metrics_url=record.metrics_url,
            key=record.key,
            name=record.name,
        )
        self.record = record
        self.served = Served(Path(record.repository), Path(record.served), _projects(record), record.sources)

    def status(self) -> list[ModelStatus]:
        """Give how each model is doing, its processes too where they are this machine's."""
        return model_statuses(
            self,
            self._health,
            server_pid=self._server_pid(),
            python_backends=self.record.python_backends,
            repository=self.served.repository,
            failed=self.served.failed(),
        )

    def describe(self) -> list[ServedModel]:
        """List each version of each model, with its state, kind and signature."""
        return describe_models(self.models(), self.served.folder, self._health)

    def load(self, model: str) -> None:
        """Load a model of the repository, and wait until it serves."""
        self.reload(model)

    def reload(self, model: str) -> None:
        """Load what the repository now has of a model; also where its files are unchanged, but its process has died."""
        with telling_of_image() if self.record.container else contextlib.nullcontext():
            reload_model(self._health, model, self.served, read_log=self.log_text)

    def changed_models(self) -> list[str]:
        """Name the models of which the repository now has other files than the server, new ones too."""
        return self.served.changed()

    def survivors(self) -> Survivors:
        """Note the processes of models that have lost one of theirs, before these are loaded again."""
        return Survivors.of(self._server_pid(), self.status())

    def left_out(self) -> list[str]:
        """Name the models of the repository that were unloaded on purpose."""
        return unloaded(self.models(), self.served.repository)

    def log_text(self) -> str:
        """Read all that the server and its models have written; empty where the log is gone."""
        with contextlib.suppress(OSError):
            return Path(self.record.log).read_text(errors="replace")
        return ""

    def follow_log(self) -> Iterator[str]:
        """Give the log as it grows, in pieces, from its start until the server's end."""
        with open(self.record.log, "rb") as file:
            yield from follow_file(file.fileno(), ended=lambda: not self.record.alive())

    def shortage(self) -> str:
        """Say that something in its container died for want of memory, if the kernel counts so."""
        from tritonforge.server.docker.memory import container_shortage

        return container_shortage(self.record.container) if self.record.container else ""

    def _server_pid(self) -> int:
        """Give the process that is the server now: Docker starts another one by its restart policy."""
        record = self.record
        if not record.container:
            return record.server_pid
        from tritonforge.server.docker.process import is_server, running_server

        return record.server_pid if is_server(record.server_pid) else running_server(record.container)


def own_sources(record: ServerRecord) -> Sources:
    """Tell which files of the user's are behind those that a server of `up` reads."""
    from tritonforge.server.docker.container import MODELS

    served = Path(MODELS if record.container else record.served)
    return read_sources(Path(record.repository), served=served, projects=_projects(record))


def end(record: ServerRecord, *, kill: bool = False) -> None:
    """End a server through its launcher, with all that it has, and forget it; of one that has ended, what it left.

    A launcher that was stopped (Ctrl-Z) goes on for this. `kill` leaves requests under way no time, and a launcher that
    hangs none either.

    Raises:
        ServerError: the launcher doesn't end, or belongs to another user.
        DaemonHangs: a container's daemon does, so that it can't be ended; nothing was done.
    """
    if record.alive():
        if record.container and not kill:
            from tritonforge.server.docker.leftovers import ask_daemon

            ask_daemon()
        _signal(record)
    else:
        _sweep(record)
    started = time.monotonic()
    deadline, again = started + record.exit_timeout_s + _PATIENCE_S, started + _AGAIN_S
    while record.alive():
        now = time.monotonic()
        if now >= deadline:
            hint = "" if kill else f"; kill it with: tritonforge down {record.name} --kill"
            raise ServerError(f"the server {record.name} (process {record.launcher.pid}) doesn't end{hint}")
        if kill and now >= again:  # one after the other: two at once are one
            again = now + _AGAIN_S
            _signal(record)
            if now >= started + _HANGS_S:
                _force(record)
        time.sleep(_POLL_S)
    forget(record)


def _force(record: ServerRecord) -> None:
    """Kill a launcher that heeds nothing, and first its server: the supervisor of both then cleans up at once."""
    with contextlib.suppress(OSError):
        if record.server_pid and f"{MARK}=".encode() in Path(f"/proc/{record.server_pid}/environ").read_bytes():
            os.kill(record.server_pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(record.launcher.pid, signal.SIGKILL)


def _sweep(record: ServerRecord) -> None:
    """Remove what a launcher left that had no time to."""
    for folder in {Path(tempfile.gettempdir()), *Path(record.served).parents[1:2]}:
        sweep_abandoned(folder.resolve())
    remove_leftovers(record)


def _signal(record: ServerRecord) -> None:
    """Tell a launcher to end; one that was stopped would only hear of it once it goes on."""
    try:
        os.kill(record.launcher.pid, signal.SIGTERM)
        os.kill(record.launcher.pid, signal.SIGCONT)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise ServerError(f"the server {record.name} (process {record.launcher.pid}) is another user's") from error


def _projects(record: ServerRecord) -> tuple[Path, ...]:
    return tuple(Path(source).parent for source in record.sources)
