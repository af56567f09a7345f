"""The commands that make an image and that manage a container. On the image of `test_containers`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from container_support import BASE, run
from repositories import ECHO, FREE_PORTS, infer, until

from tritonforge.server import Server
from tritonforge.server.docker.stages import sweep_stages

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = pytest.mark.docker


@pytest.mark.usefixtures("only_build")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_build_that_is_ended_leaves_nothing(
    docker: DockerClient, image: str, echo: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """What was killed is the next build's to remove."""
    command = [sys.executable, "-m", "tritonforge", "image", str(echo), "--tag", "tritonforge-test-ended:latest"]
    command += ["--base", BASE, "--no-project-requirements"]
    (tmp_path / "temporary").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = iter(process.stderr)
        assert any("COPY backends/" in line for line in said)
        process.send_signal(number)
        list(said)
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    until(lambda: list((tmp_path / "temporary").iterdir()) == [], "the folder's removal")
    if number == signal.SIGKILL:  # Docker may finish a step
        until(lambda: not stages_of(docker.containers, process.pid, all=True, ignore_removed=True), "the build's end")
        until(lambda: sweep_stages(docker) or not stages_of(docker.images, process.pid), "the stages' removal")
    assert stages_of(docker.images, process.pid) == []
    assert docker.images.list("tritonforge-test-ended") == []


def stages_of(things: Any, builder: int, **options: Any) -> list[Any]:
    """List what there is of the stages that a process builds."""
    found = things.list(filters={"label": "io.tritonforge.stage"}, **options)
    return [one for one in found if f".{builder}." in one.labels["io.tritonforge.stage"]]


@pytest.mark.usefixtures("only_build")
def test_the_command_makes_an_image(docker: DockerClient, image: str, tmp_path: Path, echo: Path) -> None:
    command = [sys.executable, "-m", "tritonforge", "image", str(echo), "--tag", "tritonforge-test-cli:latest"]
    command += ["--base", BASE, "--no-bake", "--no-project-requirements", "--compose", str(tmp_path / "compose")]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    try:
        assert "tritonforge-test-cli:latest (" in done.stdout
        assert (tmp_path / "compose" / "compose.yaml").is_file()
        with Server.docker(echo, image="tritonforge-test-cli:latest", **FREE_PORTS) as server:
            assert infer(server.http_url, "echo", 3.0) == 3.0
    finally:
        docker.images.remove("tritonforge-test-cli:latest", force=True)


KILL_STUBS = """
import os, pathlib
for process in pathlib.Path("/proc").iterdir():
    if process.name.isdecimal() and b"python_backend" + b"_stub" in (process / "cmdline").read_bytes():
        os.kill(int(process.name), 9)
"""


def test_the_commands_manage_a_container(
    docker: DockerClient, image: str, echo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """up, status, infer, logs, a model's process killed, reload, down."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    ports = ("--http-port", "0", "--grpc-port", "0", "--metrics-port", "0")
    up = run("up", str(echo), "--runtime", "docker", "--image", image, "--name", "contained", "--detach", *ports)
    try:
        url = next(line.removeprefix("HTTP ") for line in up.splitlines() if line.startswith("HTTP "))
        assert "shm 64 MiB for 1 Python instance" in up
        assert "model echo 1 state=READY instances=1" in run("status", "contained")
        assert infer(url, "echo", 3.0) == 3.0
        assert "Started HTTPService" in run("logs", "contained")
        running = docker.containers.get("tritonforge-contained")
        assert running.exec_run(["python3", "-c", KILL_STUBS]).exit_code == 0
        until(lambda: "a process of it has died" in run("status", "contained", exit_code=None), "the stub's death")
        (echo / "echo" / "1" / "model.py").write_text(ECHO.replace('"y", x', '"y", x * 2'))
        run("reload", "echo", "--name", "contained")
        assert infer(url, "echo", 3.0) == 6.0
    finally:
        run("down", "contained")
    assert not docker.containers.list(all=True, filters={"name": "tritonforge-contained"})
