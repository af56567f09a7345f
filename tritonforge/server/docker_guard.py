"""A container's guard, a program: `python -m tritonforge.server.docker_guard LAUNCH SECONDS`.

A workspace launches it in a server's place (see `workspace`), so that the container is one to whoever started it: what
it writes is in the workspace's log, its exit code is the guard's, and it ends when the guard is told to stop, which
comes at the end of the launcher too, be that by SIGKILL. It then has SECONDS between SIGTERM and SIGKILL. LAUNCH is
in the label by which the container is found: its name may be that of another one.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
from docker.errors import DockerException, NotFound

from tritonforge.server.docker_container import LABEL, READY

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

_LOOK_S = 0.1
_LAST_WORDS_S = 10.0
"""How long the rest of the log may take once the container has ended."""


def main(launch: str, seconds: int) -> int:
    """Watch over the container from when it is there to its end, and remove it; give its exit code."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    Path(READY).touch()  # its working directory is the workspace's folder
    client = docker.from_env()
    container = _started(client, launch, stopping)
    if container is None:
        return 0
    ended = threading.Event()
    reader = threading.Thread(target=_copy_log, args=(container, ended), daemon=True)
    reader.start()
    try:
        while container.status in ("created", "running", "restarting", "paused") and not stopping.wait(_LOOK_S):
            container.reload()
        if stopping.is_set():
            container.stop(timeout=seconds)
        code = int(container.wait()["StatusCode"])
        ended.set()
        reader.join(_LAST_WORDS_S)
    except NotFound:  # removed by someone else
        return 128 + signal.SIGKILL
    finally:
        with contextlib.suppress(DockerException):
            container.remove(force=True, v=True)
    return code


def _started(client: DockerClient, launch: str, stopping: threading.Event) -> Container | None:
    """Wait until the container has been started; None if the end comes first, in which it is removed."""
    wanted: dict[str, Any] = {"label": f"{LABEL}.launch={launch}"}
    while True:
        last = stopping.wait(_LOOK_S)
        for container in client.containers.list(all=True, ignore_removed=True, filters=wanted):
            if container.status != "created":
                return container
            if last:
                container.remove(force=True, v=True)
        if last:
            return None


def _copy_log(container: Container, ended: threading.Event) -> None:
    """Copy what the container writes, until its end, and what it writes after Docker has restarted it."""
    since: float | None = None
    with contextlib.suppress(DockerException):
        while True:
            for piece in container.logs(stream=True, follow=True, since=since):
                sys.stdout.buffer.write(piece)
                sys.stdout.buffer.flush()
            since = time.time()
            if ended.wait(_LOOK_S):
                return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
