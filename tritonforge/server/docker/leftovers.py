"""Containers whose launcher and guard are both gone: a crash of the machine, or a kill of all, leaves them running."""

from __future__ import annotations

from contextlib import closing, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tritonforge.server.docker.client import connect, told
from tritonforge.server.docker.names import LABEL
from tritonforge.server.docker.owners import has_ended
from tritonforge.server.errors import DaemonHangs, PreflightError, ServerError

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

__all__ = [
    "ask_daemon",
    "container_remains",
    "remove_container",
    "remove_launched",
    "remove_orphan",
    "remove_unguarded",
]


def ask_daemon() -> None:
    """See that no daemon hangs; where none is there no container runs, either.

    Raises:
        DaemonHangs: it does, and its containers can't be ended.
    """
    try:
        connect().close()
    except DaemonHangs:
        raise
    except PreflightError:
        return


def container_remains(container: str) -> bool:
    """Tell whether there is still a container of an id; without a daemon that tells, there may be."""
    from docker.errors import DockerException, NotFound

    try:
        with closing(connect()) as client:
            client.containers.get(container)
    except NotFound:
        return False
    except (DockerException, ServerError):
        return True
    return True


def remove_container(container: str) -> None:
    """Remove the container of an id, running or not; nothing if it is gone.

    Raises:
        PreflightError: no Docker daemon answers.
        ServerError: Docker refuses.
    """
    from docker.errors import NotFound

    with closing(connect()) as client, told(f"the container {container[:12]} can't be removed"), suppress(NotFound):
        _remove(client.containers.get(container))


def remove_launched(launch: str) -> None:
    """Remove the container that the workspace of a token launched.

    Raises:
        PreflightError: no Docker daemon answers.
        ServerError: Docker refuses.
    """
    wanted: dict[str, Any] = {"label": f"{LABEL}.launch={launch}"}
    with closing(connect()) as client, told("containers can't be removed"):
        for found in client.containers.list(all=True, ignore_removed=True, filters=wanted):
            _remove(found)


def remove_unguarded(client: DockerClient, server: str) -> bool:
    """Remove the containers of servers of a name whose guard has ended; tell whether there were any.

    Raises:
        ServerError: Docker refuses.
    """
    wanted: dict[str, Any] = {"label": f"{LABEL}.server={server}"}
    with told(f"what is left of a server {server} can't be removed"):
        found = client.containers.list(all=True, ignore_removed=True, filters=wanted)
        unguarded = [one for one in found if has_ended(one.labels.get(f"{LABEL}.guard", ""))]
        for one in unguarded:
            _remove(one)
    return bool(unguarded)


def remove_orphan(server: str) -> bool:
    """Remove what is left of a server of a name without a guard, if there is something, and a daemon that tells."""
    with suppress(ServerError), closing(connect()) as client:
        return remove_unguarded(client, server)
    return False


def _remove(container: Container) -> None:
    """Remove a container; somebody else may be at it."""
    from docker.errors import APIError

    try:
        container.remove(force=True, v=True)
    except APIError as error:
        if error.status_code not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
            raise
