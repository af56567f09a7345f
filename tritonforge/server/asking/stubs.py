"""The processes that run Python models, seen from outside: which one died where the server doesn't notice.

Triton 24.10 waits for ever for a stub that dies while it completes a model's configuration: one that crashes in native
code at import, calls os._exit, or can't be loaded for want of a library.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tritonforge.server.state.process_identity import ProcessIdentity, identify

__all__ = ["DeadStub", "Stub", "StubWatch", "list_stubs", "living_stubs"]

_UNNOTICED_S = 2.0
"""A stub that has been dead for so long won't be noticed by the server: it buries one that it waits for at once."""

_INSTANCE = 8

_EXIT_CODE = 49
"""The place of `exit_code` in /proc/PID/stat, counted from the field after the name."""


@dataclass(frozen=True, slots=True)
class DeadStub:
    """A stub's end: the name of its model, or "" if it died too soon to be seen; and how it died."""

    model: str
    cause: str


@dataclass(frozen=True, slots=True)
class Stub:
    """A process that runs a version of a model, as one of its instances."""

    model: str
    version: str
    instance: str
    process: ProcessIdentity


class StubWatch:
    """Looks at the children of a server that is loading models (0: of none); to be asked again and again."""

    def __init__(self, server_pid: int) -> None:
        self.server_pid = server_pid
        self._models: dict[int, str] = {}
        self._dead_since: dict[int, float] = {}

    def dead(self) -> list[DeadStub]:
        """List the stubs that have died unnoticed by the server."""
        now = time.monotonic()
        zombies: dict[int, str] = {}
        for pid, fields in self._children():
            if fields[0] == "Z":
                zombies[pid] = _cause(fields)
            elif model := _model(pid):
                self._models[pid] = model
        self._dead_since = {pid: self._dead_since.get(pid, now) for pid in zombies}
        return [
            DeadStub(self._models.get(pid, ""), zombies[pid])
            for pid, since in self._dead_since.items()
            if now - since >= _UNNOTICED_S
        ]

    def alive(self) -> set[str]:
        """Name the models whose stubs are running."""
        return {model for pid, _ in self._children() if (model := _model(pid))}

    def _children(self) -> Iterator[tuple[int, list[str]]]:
        """Read the server's child processes: their ids, and /proc/PID/stat from the state on."""
        if not self.server_pid:
            return
        for process in Path("/proc").iterdir():
            if process.name.isdigit():
                with contextlib.suppress(OSError):
                    fields = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()
                    if int(fields[1]) == self.server_pid:
                        yield int(process.name), fields


def list_stubs(server_pid: int) -> list[Stub]:
    """Find the processes that run a server's models; an old version's, too, while requests are under way on it.

    Each stub's command line has its model's file, in a version folder, and, as its ninth word, the instance (24.10).
    """
    found = []
    for pid in _children_of(server_pid):
        process, words = identify(pid), _stub_words(pid)
        if process is not None and len(words) > _INSTANCE:
            version = Path(words[1]).parent
            found.append(Stub(version.parent.name, version.name, words[_INSTANCE], process))
    return found


def living_stubs(server_pid: int) -> dict[tuple[str, str], set[str]]:
    """Name the instances of a server's models that have a process, by (model, version)."""
    found: dict[tuple[str, str], set[str]] = {}
    for stub in list_stubs(server_pid):
        found.setdefault((stub.model, stub.version), set()).add(stub.instance)
    return found


def _children_of(parent: int) -> Iterator[int]:
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()
                if int(fields[1]) == parent and fields[0] != "Z":
                    yield int(process.name)


def _stub_words(pid: int) -> list[str]:
    """Read a stub's command line; nothing of any other program, or of one that is gone."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        if os.path.basename(words[0]) == "triton_python_backend_stub":
            return words
    return []


def _model(pid: int) -> str:
    """Read the model's name off a stub's command line: the folder above the version's; "" of any other program."""
    words = _stub_words(pid)
    return Path(words[1]).parent.parent.name if len(words) > 1 else ""


def _cause(fields: list[str]) -> str:
    """Say how a zombie died, from its wait status."""
    status = int(fields[_EXIT_CODE])
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        with contextlib.suppress(ValueError):
            return f"was killed by {signal.Signals(number).name}"
        return f"was killed by signal {number}"
    return f"ended with exit code {os.waitstatus_to_exitcode(status)}"
