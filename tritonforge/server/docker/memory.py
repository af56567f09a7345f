"""Whether a container's limit of memory ended what died in it: the kernel counts whom it kills for that."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from tritonforge.errors import Diagnostic
from tritonforge.server.docker.client import connect, told
from tritonforge.server.errors import ServerError
from tritonforge.server.repository.shared_memory import size_text

if TYPE_CHECKING:
    from docker.models.containers import Container

__all__ = ["blame_memory", "container_shortage", "ended_by_memory", "short_of_memory"]

_DEATH = "TF523"
_COUNTS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
"""Where a container has its own counts, with cgroups of version 2 and 1."""

_DYING_S, _TELLING_S = 5, 2
"""How long a container may go on without what was killed in it, and how late Docker may tell that."""

_KILLS = re.compile(r"^oom_kill (?P<count>\d+)$", re.MULTILINE)


def blame_memory(found: Sequence[Diagnostic], container: Container) -> list[Diagnostic]:
    """Say of models' processes that died in a running container that its limit is why, where the kernel counts so."""
    died = any(diagnostic.code == _DEATH for diagnostic in found)
    if not died or not (hint := short_of_memory(container)):
        return list(found)
    return [replace(each, hint=hint) if each.code == _DEATH else each for each in found]


def short_of_memory(container: Container) -> str:
    """Say of a running container that something died in it for want of memory, if the kernel counts so."""
    return _words(container) if _kills(container) else ""


def container_shortage(container: str) -> str:
    """Say so of the running container of an id; nothing where that isn't to be had."""
    with suppress(ServerError), closing(connect()) as client, told("the container is gone"):
        return short_of_memory(client.containers.get(container))
    return ""


def ended_by_memory(container: Container) -> str:
    """Say of a container that has ended that it was for want of memory, if something in it was killed for that then.

    Docker's `OOMKilled` tells that of any time in its life (20.10); its events tell when.
    """
    state = container.attrs["State"]
    if state.get("OOMKilled") and _killed_about(container, _time(state["FinishedAt"])):
        return _words(container)
    return ""


def _killed_about(container: Container, ended_s: int) -> bool:
    """Tell whether something in a container was killed for want of memory about when it ended."""
    from docker.errors import DockerException

    assert container.client is not None
    when: dict[str, Any] = {"since": ended_s - _DYING_S, "until": ended_s + _TELLING_S}
    wanted = {"container": container.id, "event": "oom"}
    with suppress(DockerException), closing(container.client.events(decode=True, filters=wanted, **when)) as events:
        return next(iter(events), None) is not None
    return False


def _time(text: str) -> int:
    """Read the seconds of a time of Docker's, which is of its machine's clock."""
    return int(datetime.fromisoformat(text[: len("2024-10-01T00:00:00")]).replace(tzinfo=timezone.utc).timestamp())


def _words(container: Container) -> str:
    limit = int(container.attrs["HostConfig"].get("Memory") or 0)
    if not limit:
        return "the machine ran out of memory"
    return f"the container ran out of memory, its limit is {size_text(limit)}; give it more: --docker memory=…"


def _kills(container: Container) -> int:
    """Count the processes that the kernel killed in a running container for want of memory; 0 where nobody knows."""
    from docker.errors import DockerException

    with suppress(DockerException):
        output = bytes(container.exec_run(["cat", *_COUNTS]).output).decode(errors="replace")  # type: ignore[arg-type]
        return sum(int(kills["count"]) for kills in _KILLS.finditer(output))
    return 0
