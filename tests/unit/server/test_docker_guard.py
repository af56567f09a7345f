"""What a guard takes for the end of its container."""

from __future__ import annotations

import subprocess
import sys
import threading
from queue import SimpleQueue
from typing import Any

import pytest
from docker.errors import NotFound
from requests import ReadTimeout

from tritonforge.server.docker import guard as docker_guard

PATIENCE_S = 30.0


class Container:
    """One that Docker calls what it is told to, one word for each time that it is asked."""

    def __init__(self, policy: str, *statuses: str) -> None:
        self.attrs = {"HostConfig": {"RestartPolicy": {"Name": policy}}}
        self.status = ""
        self._statuses = list(statuses)

        self.asked = 0
        self.waits: SimpleQueue[float] = SimpleQueue()
        self.answers: SimpleQueue[Exception | None] = SimpleQueue()

    def reload(self) -> None:
        self.asked += 1
        self.status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]

    def wait(self, timeout: float) -> None:
        self.waits.put(timeout)
        if (error := self.answers.get(timeout=PATIENCE_S)) is not None:
            raise error


@pytest.mark.parametrize(
    ("policy", "statuses", "lives"),
    [
        ("no", ("running",), True),
        ("no", ("exited", "running"), False),
        ("always", ("exited", "exited", "running"), True),
        ("on-failure", ("exited",), False),
    ],
)
def test_under_a_restart_policy_an_end_is_one_only_if_it_lasts(
    policy: str, statuses: tuple[str, ...], lives: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`docker restart` ends a container, and starts it again at once."""
    monkeypatch.setattr(docker_guard, "_LOOK_S", 0.01)
    monkeypatch.setattr(docker_guard, "_RESTART_S", 0.5)
    container: Any = Container(policy, *statuses)
    assert docker_guard._lives(container, docker_guard.Told()) is lives


def test_docker_is_asked_again_only_when_it_answers_or_its_connection_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_guard, "_LOOK_S", 0.01)
    container: Any = Container("no", "running", "running", "exited")
    over = threading.Event()
    watch = threading.Thread(target=docker_guard._watch, args=(container, docker_guard.Told(), over), daemon=True)
    watch.start()
    container.waits.get(timeout=PATIENCE_S)
    assert not over.wait(0.1)
    assert container.asked == 1
    container.answers.put(ReadTimeout())
    container.waits.get(timeout=PATIENCE_S)
    assert not over.wait(0.1)
    assert container.asked == 2
    container.answers.put(None)
    assert over.wait(PATIENCE_S)
    assert container.asked == 3
    watch.join(PATIENCE_S)


def test_a_container_that_docker_knows_no_more_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_guard, "_LOOK_S", 0.01)
    container: Any = Container("no", "running")
    container.reload = lambda: (_ for _ in ()).throw(NotFound("gone"))
    over = threading.Event()
    docker_guard._watch(container, docker_guard.Told(), over)
    assert over.is_set()


def test_a_signal_amid_a_wait_for_signals_is_heeded() -> None:
    """An Event's own lock is held within its wait, for a handler of the same thread to wait for without end."""
    code = """
import signal, time
from tritonforge.server.docker.guard import Told
told = Told()
signal.signal(signal.SIGALRM, lambda *_: told.set())
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
end = time.monotonic() + 2
while time.monotonic() < end:
    told = Told()
    told.wait(0.0005)
signal.setitimer(signal.ITIMER_REAL, 0)
"""
    subprocess.run([sys.executable, "-c", code], timeout=60, check=True)
