"""Processes of a model's older version that Triton never ends, as it has lost count of a request.

Where a process of a model dies amid a request, Triton 24.10 takes that one for under way for ever. Once the model is
loaded again, its old version is never unloaded: the processes of the other copies would stay until the server's end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tritonforge.server.asking.status import ModelStatus
from tritonforge.server.asking.stubs import Stub, list_stubs

__all__ = ["Survivors", "replaced"]

_POLL_S = 0.1
_UNLOADED_S = 3.0
"""What Triton may take to end the processes of an old version that has no request left: it looks once a second."""


@dataclass(frozen=True)
class Survivors:
    """The processes of models that had lost one of theirs, as they were before these models were loaded again."""

    server_pid: int
    stubs: tuple[Stub, ...]

    @classmethod
    def of(cls, server_pid: int, statuses: Iterable[ModelStatus]) -> Survivors:
        """Note them, by how the models are doing."""
        lost = {status.name for status in statuses if status.state == "READY" and not status.healthy}
        return cls(server_pid, tuple(stub for stub in list_stubs(server_pid) if stub.model in lost) if lost else ())

    def left(self, statuses: Sequence[ModelStatus]) -> list[Stub]:
        """List those that still run though their models were loaded again, by how these are doing now.

        They have a moment to be ended by Triton.
        """
        deadline = time.monotonic() + _UNLOADED_S
        while (found := self._replaced(statuses)) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        return found

    def end(self, statuses: Sequence[ModelStatus], *, after_s: float) -> None:
        """Kill what is left of them after a time that requests under way have."""
        deadline = time.monotonic() + after_s
        while (found := self._replaced(statuses)) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        for stub in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # a container's may be another user's
                os.kill(stub.process.pid, signal.SIGKILL)

    def _replaced(self, statuses: Sequence[ModelStatus]) -> list[Stub]:
        return replaced(self.stubs, list_stubs(self.server_pid), statuses) if self.stubs else []


def replaced(before: Iterable[Stub], now: Iterable[Stub], statuses: Iterable[ModelStatus]) -> list[Stub]:
    """Find the processes of before that still run beside the full number of new ones, which serve in their place."""
    now, old = {*now}, {*before}
    wanted: Mapping[tuple[str, str], int] = {
        (status.name, status.version): status.instances or 0 for status in statuses if status.state == "READY"
    }
    fresh = dict.fromkeys(wanted, 0)
    for stub in now - old:
        if (stub.model, stub.version) in fresh:
            fresh[stub.model, stub.version] += 1
    full = {key for key, count in wanted.items() if count and fresh[key] >= count}

    def is_replaced(stub: Stub) -> bool:
        key = (stub.model, stub.version)
        return key in full if key in wanted else any(model == stub.model for model, _ in full)

    return sorted(filter(is_replaced, now & old), key=lambda stub: stub.process.pid)
