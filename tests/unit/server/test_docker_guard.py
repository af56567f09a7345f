"""What a guard takes for the end of its container."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tritonforge.server.docker import guard as docker_guard


class Container:
    """One that Docker calls what it is told to, one word for each time that it is asked."""

    def __init__(self, policy: str, *statuses: str) -> None:
        self.attrs = {"HostConfig": {"RestartPolicy": {"Name": policy}}}
        self.status = ""
        self._statuses = list(statuses)

    def reload(self) -> None:
        self.status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]


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
    assert docker_guard._lives(container, threading.Event()) is lives
