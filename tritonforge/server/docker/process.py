"""Which process of this machine is a container's server: another one each time that Docker starts it again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tritonforge.server.docker.client import connect, told
from tritonforge.server.errors import ServerError

if TYPE_CHECKING:
    from docker.models.containers import Container

__all__ = ["is_server", "running_server", "server_process"]


def running_server(container: str) -> int:
    """Ask Docker for the process that is now tritonserver in the container of an id; 0 where that isn't to be had."""
    with suppress(ServerError), closing(connect()) as client, told("the container is gone"):
        return server_process(client.containers.get(container))
    return 0


def server_process(container: Container) -> int:
    """Find tritonserver among a container's processes, by this machine's numbers; 0 where Docker is elsewhere."""
    return next((pid for pid in _descendants(int(container.attrs["State"]["Pid"])) if is_server(pid)), 0)


def is_server(pid: int) -> bool:
    """Tell whether a process is tritonserver."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip() == "tritonserver"
    return False


def _descendants(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
            yield child
            yield from _descendants(child)
