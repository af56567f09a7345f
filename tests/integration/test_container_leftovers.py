"""Containers, networks and folders: none stays, whoever is killed. On the image of `test_containers`."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from container_support import run
from life_support import PROGRAM, block_interruptions
from repositories import DEADLINE_S, FREE_PORTS, SLOW, UNDER_WAY, infer, until, write_model

from tritonforge.server import Server, ServerError
from tritonforge.server.guard.abandoned import sweep_abandoned

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.networks import Network
    from docker.models.volumes import Volume

pytestmark = pytest.mark.docker

NO_PORTS = ("--http-port=0", "--grpc-port=0", "--metrics-port=0")


def test_nothing_is_left(docker: DockerClient, image: str, echo: Path) -> None:
    """Neither after a stop, nor after a failed start, nor after the launcher's SIGKILL."""
    with Server.docker(echo, image=image, name="left", **FREE_PORTS):
        pass
    assert not left(docker)
    with pytest.raises(ServerError, match=r"port \d+ \(http\): is taken by "):
        taken(image, echo)
    assert not left(docker)
    with launched(echo, image) as (launcher, *_):
        launcher.kill()
    until(lambda: not left(docker), "the removal of the launcher's container")


LAUNCHER = """
import os, sys, time
from pathlib import Path
from tritonforge.server import Server, Workspace

workspace = Workspace()
ports = dict.fromkeys(("http_port", "grpc_port", "metrics_port"), 0)
Server.docker(sys.argv[1], image=sys.argv[2], name="left", workspace=workspace, **ports)
supervisor = Path(f"/proc/{workspace.server_pid}/stat").read_text().rpartition(")")[2].split()[1]
print(workspace.folder, supervisor, workspace.server_pid, flush=True)
time.sleep(600)
"""


@contextmanager
def launched(repository: Path, image: str) -> Iterator[tuple[subprocess.Popen[str], Path, int, int]]:
    """Run a process that serves a container named `left`; give its workspace's folder, its supervisor and guard.

    Its folder for temporary files is the repository's, which no other start sweeps.
    """
    command = [sys.executable, "-c", LAUNCHER, str(repository), image]
    environment = {**os.environ, "TMPDIR": str(repository.parent)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as launcher:
        try:
            assert launcher.stdout is not None
            folder, supervisor, guard = launcher.stdout.readline().split()
            yield launcher, Path(folder), int(supervisor), int(guard)
        finally:
            launcher.kill()


def test_the_guard_outlives_a_supervisor_that_is_killed(docker: DockerClient, image: str, echo: Path) -> None:
    """And removes the container: where the launcher lives on, and where it was killed at the same moment."""
    with launched(echo, image) as (_, _, supervisor, _):
        os.kill(supervisor, signal.SIGKILL)
        until(lambda: not left(docker), "the removal of the container by its guard")
    with launched(echo, image) as (launcher, folder, supervisor, _):
        launcher.send_signal(signal.SIGSTOP)
        os.kill(supervisor, signal.SIGKILL)
        launcher.kill()
        launcher.wait()  # until then it holds the folder
        until(lambda: not left(docker), "the removal of the container by its guard")
        sweep_abandoned(folder.parent)
        assert not folder.exists()


def test_the_next_start_removes_the_container_of_a_launcher_that_was_killed_with_all_its_guards(
    docker: DockerClient, image: str, echo: Path
) -> None:
    with launched(echo, image) as (launcher, folder, supervisor, guard):
        launcher.send_signal(signal.SIGSTOP)
        for process in (guard, supervisor, launcher.pid):
            os.kill(process, signal.SIGKILL)
        launcher.wait()
        assert left(docker) == ["tritonforge-left"]
        until(lambda: _dead(supervisor) and _dead(guard), "their ends")
        sweep_abandoned(folder.parent)
        assert not left(docker)
        assert not folder.exists()


def _dead(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_down_kill_leaves_a_request_no_time_and_no_container(
    docker: DockerClient, image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the exit timeout is."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("TRITONFORGE_EXIT_TIMEOUT_S", "1000")
    slow = SLOW.replace("SECONDS", "1000").replace(f'"{UNDER_WAY}"', f'"{UNDER_WAY}", flush=True')
    write_model(tmp_path / "models", "slow", slow)
    options = ("--runtime", "docker", "--image", image, "--name", "left", "--detach")
    run("up", str(tmp_path / "models"), *options, "--http-port", "0", "--grpc-port", "0", "--metrics-port", "0")
    record = json.loads((tmp_path / "state/tritonforge/servers/left/record.json").read_text())
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(infer, record["http_url"], "slow", 1.0, timeout_s=200.0)
        until(lambda: UNDER_WAY in Path(record["log"]).read_text(), UNDER_WAY)
        assert run("down", "left", "--kill") == "left stopped\n"
        assert not left(docker)
        assert isinstance(call.exception(DEADLINE_S), OSError)


STARTS, SIDE_BY_SIDE, LONGEST_S = 50, 4, 5.0


@dataclass(frozen=True)
class Plan:
    """One start: its folder for temporary files; whether what would clean up is killed, or the launcher; when, how."""

    temporary: Path
    spares_launcher: bool
    delay_s: float
    number: signal.Signals


def test_no_container_or_network_is_left_of_starts_that_are_killed_at_random_moments(
    docker: DockerClient, image: str, echo: Path, tmp_path: Path
) -> None:
    """The launcher, or what would clean up after it."""
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    before = things(docker, echo)
    plans = [
        Plan(
            temporary=tmp_path / str(number),
            spares_launcher=chance.random() < 0.5,
            delay_s=chance.uniform(0, LONGEST_S),
            number=chance.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGINT)),
        )
        for number in range(STARTS)
    ]
    command = [sys.executable, "-c", PROGRAM, "up", str(echo), "--runtime", "docker", "--image", image]
    with ThreadPoolExecutor(SIDE_BY_SIDE, initializer=block_interruptions) as pool:
        list(pool.map(lambda plan: start_and_kill([*command, *NO_PORTS], plan, tmp_path / "state", seed), plans))
    until(lambda: things(docker, echo) == before, f"the containers and networks are those of before (seed {seed})")


def start_and_kill(command: list[str], plan: Plan, state: Path, seed: int) -> None:
    """Start a container, and kill its launcher or supervisor after a while; see that no folder is left."""
    plan.temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(plan.temporary), "XDG_STATE_HOME": str(state)}
    with open(plan.temporary.with_suffix(".log"), "wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    time.sleep(plan.delay_s)
    supervisor = next(iter(children(process.pid)), None) if plan.spares_launcher else None
    if supervisor is None:
        process.send_signal(plan.number)
    else:
        os.kill(supervisor, signal.SIGKILL)
    code = process.wait(60)
    said = plan.temporary.with_suffix(".log").read_text()
    until(lambda: not list(plan.temporary.iterdir()), f"no folder is left (seed {seed}, {plan}, {code}):\n{said}")


def things(docker: DockerClient, repository: Path) -> dict[str, set[str | None]]:
    """Name what Docker has of containers of a repository, and of networks and volumes that compose hasn't made."""
    ours = {"label": f"io.tritonforge.repository={repository}"}
    return {
        "containers": {one.id for one in docker.containers.list(all=True, ignore_removed=True, filters=ours)},
        "networks": {one.id for one in docker.networks.list() if not _composed(one)},
        "volumes": {one.id for one in docker.volumes.list() if not _composed(one)},
    }


def _composed(thing: Network | Volume) -> bool:
    return "com.docker.compose.project" in (thing.attrs.get("Labels") or {})


def children(pid: int) -> list[int]:
    """List a process's own children; none of one that is gone."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def left(docker: DockerClient) -> list[str]:
    """List the containers named `left` and `left-too` that there are."""
    found = docker.containers.list(all=True, ignore_removed=True, filters={"label": "io.tritonforge.server"})
    return [one.name for one in found if one.name in ("tritonforge-left", "tritonforge-left-too")]


def taken(image: str, repository: Path) -> None:
    """Start a server on a port that a first one has."""
    with Server.docker(repository, image=image, name="left", **FREE_PORTS) as first:
        port = int(first.http_url.rpartition(":")[2])
        Server.docker(repository, image=image, name="left-too", **{**FREE_PORTS, "http_port": port})


def test_down_removes_the_container_of_a_launcher_that_has_no_guard_left(
    docker: DockerClient, image: str, echo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a crash of the machine, where Docker starts the container again."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    ports = ("--http-port", "0", "--grpc-port", "0", "--metrics-port", "0")
    options = ("--runtime", "docker", "--image", image, "--name", "crashed", "--docker", "restart=always")
    run("up", str(echo), *options, "--detach", *ports)
    launcher = int(
        json.loads((tmp_path / "state/tritonforge/servers/crashed/record.json").read_text())["launcher"]["pid"]
    )
    (supervisor,) = children(launcher)
    (guard,) = children(supervisor)
    os.kill(launcher, signal.SIGSTOP)
    for process in (guard, supervisor, launcher):
        os.kill(process, signal.SIGKILL)
    until(lambda: all(map(_dead, (guard, supervisor, launcher))), "their ends")
    assert docker.containers.get("tritonforge-crashed").status == "running"
    assert "server crashed ended" in run("status", "crashed", exit_code=1)
    run("down", "crashed")
    assert not docker.containers.list(all=True, filters={"name": "tritonforge-crashed"})


def test_a_launcher_removes_the_container_whose_guard_was_killed(
    docker: DockerClient, image: str, echo: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "tritonforge", "up", str(echo), "--runtime", "docker", "--image", image]
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    with subprocess.Popen([*command, "--name", "left", *NO_PORTS], env=environment, stdout=subprocess.PIPE) as up:
        try:
            assert up.stdout is not None
            assert any(b"http://" in line for line in up.stdout)  # it is ready
            (supervisor,) = children(up.pid)
            (guard,) = children(supervisor)
            os.kill(guard, signal.SIGKILL)
            assert up.wait(DEADLINE_S) == 1
            assert not left(docker)
        finally:
            up.kill()


def test_a_container_of_which_nothing_else_is_left_makes_way_and_goes_with_down(
    docker: DockerClient, image: str, echo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One whose guard lives doesn't."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def orphan() -> None:
        with launched(echo, image) as (launcher, folder, supervisor, guard):
            launcher.send_signal(signal.SIGSTOP)
            os.kill(guard, signal.SIGKILL)
            until(lambda: _dead(supervisor) and not folder.exists(), "the supervisor's end")
            launcher.kill()
            launcher.wait()
        assert left(docker) == ["tritonforge-left"]

    orphan()
    assert run("down", "left") == "left had no guard left; its container is removed\n"
    assert not left(docker)
    orphan()
    with Server.docker(echo, image=image, name="left", **FREE_PORTS) as server:
        assert left(docker) == ["tritonforge-left"]
        run("down", "left", exit_code=1)
        assert server.models()
    assert not left(docker)
