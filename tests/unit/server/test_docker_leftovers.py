"""Containers that nobody watches over, with a stand-in for Docker's daemon."""

from __future__ import annotations

import os
import subprocess
from types import SimpleNamespace
from typing import Any

import pytest

from tritonforge.server.docker import launch as docker_launch
from tritonforge.server.docker.leftovers import remove_unguarded
from tritonforge.server.docker.owners import has_ended, name_owner
from tritonforge.server.state.process_identity import identify

MINE = name_owner(os.getpid())


def killed(owner: str) -> str:
    """Name a process that had the id of another, before that one."""
    *place, started = owner.split(".")
    return ".".join([*place, str(int(started) - 1)])


class Daemon:
    """Has containers of a server `a`, by the labels of their guards."""

    def __init__(self, *guards: str) -> None:
        self.removed: list[str] = []
        self.containers = SimpleNamespace(list=lambda **asked: [*map(self._container, guards)] if _of_a(asked) else [])

    def _container(self, guard: str) -> Any:
        labels = {"io.tritonforge.guard": guard} if guard else {}
        return SimpleNamespace(labels=labels, remove=lambda **_: self.removed.append(guard))


def _of_a(asked: dict[str, Any]) -> bool:
    return bool(asked["filters"] == {"label": "io.tritonforge.server=a"} and asked["all"])


def test_a_container_goes_whose_guard_has_ended() -> None:
    """Not one that is guarded, that of another machine or namespace, or of another version, without the label."""
    boot, namespace, pid, started = MINE.split(".")
    elsewhere = [f"another.{namespace}.{pid}.1", f"{boot}.1.{pid}.{started}"]
    daemon = Daemon(MINE, killed(MINE), *elsewhere, "")
    assert remove_unguarded(daemon, "a")  # type: ignore[arg-type]  # a stand-in
    assert daemon.removed == [killed(MINE)]
    assert not remove_unguarded(daemon, "b")  # type: ignore[arg-type]  # a stand-in
    assert not remove_unguarded(Daemon(MINE), "a")  # type: ignore[arg-type]  # a stand-in


def test_nobody_is_named_where_a_process_is_gone() -> None:
    assert name_owner(0) == ""
    assert not has_ended("")
    assert not has_ended(MINE)


@pytest.mark.parametrize(
    ("guard", "code", "removes"), [("sleep 60", 137, False), ("true", 0, False), ("true", 1, True)]
)
def test_a_launcher_removes_what_its_guard_left(
    guard: str, code: int, removes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not what one has removed that ended in order, or will that outlived its supervisor."""
    removed: list[str] = []
    monkeypatch.setattr(docker_launch, "remove_launched", removed.append)
    with subprocess.Popen(guard.split()) as process:
        identity = identify(process.pid)
        if guard == "true":
            process.wait()
        docker_launch._remove_for_guard("0f", identity, code)
        process.kill()
    assert bool(removed) is removes
