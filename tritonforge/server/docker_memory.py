"""Whether a container's limit of memory ended what died in it: the kernel counts whom it kills for that."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from tritonforge.errors import Diagnostic
from tritonforge.server.docker_client import connect, told
from tritonforge.server.errors import ServerError
from tritonforge.server.shared_memory import size_text

if TYPE_CHECKING:
    from docker.models.containers import Container

__all__ = ["blame_memory", "container_shortage", "out_of_memory", "short_of_memory"]

_DEATH = "TF523"
_COUNTS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
"""Where a container has its own counts, with cgroups of version 2 and 1."""

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


def out_of_memory(container: Container) -> str:
    """Say of a container that has ended that it was for want of memory, if Docker says so; else nothing."""
    return _words(container) if container.attrs["State"].get("OOMKilled") else ""


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
