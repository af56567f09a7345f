"""A container's guard, a program: `python -m tritonforge.server.docker.guard LAUNCH SECONDS`.

A workspace launches it in a server's place (see `workspace`), so that the container is one to whoever started it: what
it writes is in the workspace's log, its exit code is the guard's, and it ends when the guard is told to stop, which
comes at the end of the launcher too, be that by SIGKILL. It then has SECONDS between SIGTERM and SIGKILL; a
second signal to the guard kills it at once. LAUNCH is in the label by which the container is found: its name may be
that of another one.

It outlives a supervisor that is killed, to remove the container then: it has a session of its own, which nobody
sweeps, and the kernel tells it to stop.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
from docker.errors import DockerException, NotFound

from tritonforge.server.docker.names import CREATING, LABEL, READY

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

_LOOK_S = 0.1
_LONGEST_WAIT_S = 60.0
"""How long Docker is asked at a time to tell of the container's end: a connection may be lost without a word."""
_PR_SET_PDEATHSIG = 1
_RESTART_S = 2.0
"""How long a container under a restart policy may be at rest before that is its end."""
_CREATION_S = 10.0
"""How long Docker may take to create a container."""
_LAST_WORDS_S = 10.0
"""How long the rest of the log may take once the container has ended."""


class Told:
    """Whether a signal has come. A handler that sets an Event may wait for a lock of the very wait that it is amid."""

    def __init__(self) -> None:
        self._told = False

    def is_set(self) -> bool:
        """Say whether it has."""
        return self._told

    def set(self) -> None:
        """Tell it."""
        self._told = True

    def wait(self, seconds: float) -> bool:
        """Wait for some time, if it hasn't been told; say whether it has."""
        if not self._told:
            time.sleep(seconds)
        return self._told


def main(launch: str, seconds: int) -> int:
    """Watch over the container from when it is there to its end, and remove it; give its exit code."""
    stopping, killing, over = Told(), Told(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: (killing if stopping.is_set() else stopping).set())
    _outlive_the_supervisor(stopping)
    Path(READY).touch()  # its working directory is the workspace's folder
    client = docker.from_env()
    container = _started(client, launch, stopping)
    if container is None:
        return 0
    ended = threading.Event()
    reader = threading.Thread(target=_copy_log, args=(container, ended), daemon=True)
    reader.start()
    try:
        threading.Thread(target=_watch, args=(container, stopping, over), daemon=True).start()
        while not over.is_set() and not stopping.wait(_LOOK_S):
            pass
        if stopping.is_set():
            _stop(container, seconds, killing)
        code = int(container.wait()["StatusCode"])
        ended.set()
        reader.join(_LAST_WORDS_S)
        from tritonforge.server.docker.memory import ended_by_memory  # takes longer than all that is imported before

        with contextlib.suppress(DockerException):
            container.reload()
            if not stopping.is_set() and (words := ended_by_memory(container)):
                print(f"tritonforge: {words}", flush=True)
    except NotFound:  # removed by someone else
        return 128 + signal.SIGKILL
    finally:
        with contextlib.suppress(DockerException):
            container.remove(force=True, v=True)
    return code


def _watch(container: Container, stopping: Told, over: threading.Event) -> None:
    """Say when the container has ended, or Docker tells of it no more.

    Docker tells of an end itself: questions all the time would take more of a processor than the guard does.
    """
    with contextlib.suppress(DockerException, OSError):
        while _lives(container, stopping):
            with contextlib.suppress(DockerException, OSError):
                container.wait(timeout=_LONGEST_WAIT_S)
            time.sleep(_LOOK_S)
    over.set()


def _lives(container: Container, stopping: Told) -> bool:
    """Tell whether the container runs, or will again: `docker restart` has it end in between.

    Without a restart policy the end is the end.
    """
    policy = (container.attrs["HostConfig"].get("RestartPolicy") or {}).get("Name") or "no"
    give_up = time.monotonic() + (0 if policy == "no" else _RESTART_S)
    while True:
        container.reload()
        if container.status in ("created", "running", "restarting", "paused"):
            return True
        if time.monotonic() >= give_up or stopping.wait(_LOOK_S):
            return False


def _outlive_the_supervisor(stopping: Told) -> None:
    """Stop at the supervisor's end, where the kernel would have killed this process."""
    supervisor = os.getppid()
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != supervisor:
        stopping.set()


def _started(client: DockerClient, launch: str, stopping: Told) -> Container | None:
    """Wait until the container has been started; None if the end comes first, in which it is removed.

    Docker goes on creating one whose launcher is killed meanwhile.
    """
    wanted: dict[str, Any] = {"label": f"{LABEL}.launch={launch}"}
    give_up = float("inf")
    while True:
        if stopping.wait(_LOOK_S):
            give_up = min(give_up, time.monotonic() + (_CREATION_S if Path(CREATING).exists() else 0))
            time.sleep(_LOOK_S)
        last = time.monotonic() >= give_up
        for container in client.containers.list(all=True, ignore_removed=True, filters=wanted):
            if container.status != "created":
                return container
            if stopping.is_set():
                container.remove(force=True, v=True)
                return None
        if last:
            return None


def _stop(container: Container, seconds: int, killing: Told) -> None:
    """Stop the container, which takes up to so many seconds; kill it as soon as that is wished."""

    def stop() -> None:
        with contextlib.suppress(DockerException):
            container.stop(timeout=seconds)

    stopper = threading.Thread(target=stop, daemon=True)
    stopper.start()
    while stopper.is_alive():
        if killing.wait(_LOOK_S):
            with contextlib.suppress(DockerException):  # it may have ended
                container.kill()
            return


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
