"""Containers that end, are started again by Docker, or never come to serve. On the image of `test_containers`."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from container_support import BASE, container, run
from repositories import DEADLINE_S, ECHO, FREE_PORTS, infer, until, write_model

from tritonforge.server import ModelLoadError, PreflightError, Server, ServerDied
from tritonforge.server.docker.client import find_image

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = pytest.mark.docker


def test_a_container_that_is_killed_leaves_its_code_and_its_log(docker: DockerClient, image: str, echo: Path) -> None:
    with Server.docker(echo, image=image, **FREE_PORTS) as server:
        container(docker, server).kill()
        assert server.wait(30.0) == 137
        assert "Started HTTPService" in server.log_text()
    assert server.stop() == 137
    assert "Started HTTPService" in server.log_text()


def test_a_container_that_dies_at_the_start_is_told_with_its_last_words(image: str, tmp_path: Path) -> None:
    code = "import os, signal\nprint('a model kills the server', flush=True)\nos.kill(os.getppid(), signal.SIGKILL)\n"
    write_model(tmp_path / "models", "killer", code)
    with pytest.raises(ServerDied, match=r"ended with code 137.*\n(.*\n)*.*a model kills the server") as died:
        Server.docker(tmp_path / "models", image=image, **FREE_PORTS)
    assert died.value.exit_code == 137


def test_a_model_that_fails_to_load_is_told_at_its_line(image: str, tmp_path: Path) -> None:
    write_model(tmp_path / "models", "broken", "import numpy\nraise RuntimeError('it is broken')\n")
    with pytest.raises(ModelLoadError, match=r"models/broken/1/model\.py:2 broken: .*it is broken"):
        Server.docker(tmp_path / "models", image=image, **FREE_PORTS)


@pytest.mark.parametrize("where", ["", "    def initialize(self, _):\n        "])
def test_a_model_that_takes_more_memory_than_the_container_has_is_told_with_the_limit(
    image: str, tmp_path: Path, where: str
) -> None:
    """The kernel kills its process, while it loads or soon after."""
    greedy = f"{where}__import__('numpy').ones(1 << 27)\n"
    write_model(tmp_path / "models", "greedy", f"{ECHO}\n{greedy}")
    with pytest.raises(
        ModelLoadError, match=r"greedy: .* its Python (.*\n)*.* memory, its limit is 256 MiB; give it more: --d"
    ):
        Server.docker(tmp_path / "models", image=image, memory="256m", **FREE_PORTS)


def test_a_server_that_takes_more_memory_than_the_container_has_is_told_with_the_limit(image: str, echo: Path) -> None:
    with pytest.raises(
        ServerDied, match=r"ended with code 137(.*\n)*.*out of memory, its limit is 16 MiB; give it more"
    ):
        Server.docker(echo, image=image, memory="16m", **FREE_PORTS)


def test_docker_restarts_a_server_that_crashed(docker: DockerClient, image: str, echo: Path) -> None:
    with Server.docker(echo, image=image, restart="on-failure", **FREE_PORTS) as server:
        first = server.pid
        os.kill(first, signal.SIGKILL)
        until(lambda: container(docker, server).attrs["RestartCount"] == 1, "the restart")
        until(lambda: answers(server.http_url), "an answer of the restarted server")
        until(lambda: server.log_text().count("Started HTTPService") == 2, "its log")
        assert server.wait(0.0) is None
        assert [(model.alive, model.healthy) for model in server.status()] == [(1, True)]
        assert server.pid != first


@pytest.mark.parametrize("policy", ["on-failure", "unless-stopped"])
def test_docker_restarts_a_server_by_order_under_a_policy(
    docker: DockerClient, image: str, echo: Path, policy: str
) -> None:
    """And stops it for good."""
    with Server.docker(echo, image=image, restart=policy, **FREE_PORTS) as server:
        first = server.pid
        container(docker, server).restart(timeout=20)
        until(lambda: answers(server.http_url), "an answer of the restarted server")
        until(lambda: server.log_text().count("Started HTTPService") == 2, "its log")
        assert server.wait(0.0) is None
        server.status()
        assert server.pid != first
        container(docker, server).stop(timeout=20)
        assert server.wait(DEADLINE_S) is not None


def test_status_looks_for_the_processes_of_a_server_that_docker_restarted(
    docker: DockerClient, image: str, echo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    ports = ("--http-port", "0", "--grpc-port", "0", "--metrics-port", "0")
    options = ("--runtime", "docker", "--image", image, "--docker", "restart=always")
    run("up", str(echo), *options, "--name", "again", "--detach", *ports)
    try:
        record = json.loads((tmp_path / "state/tritonforge/servers/again/record.json").read_text())
        os.kill(record["server_pid"], signal.SIGKILL)
        until(lambda: docker.containers.get("tritonforge-again").attrs["RestartCount"] == 1, "the restart")
        until(lambda: answers(record["http_url"]), "an answer of the restarted server")
        assert "model echo 1 state=READY instances=1 " in run("status", "again")
        assert run("reload", "--name", "again") == "nothing has changed\n"
    finally:
        run("down", "again")


def answers(url: str) -> bool:
    """Tell whether the model echo answers."""
    try:
        return infer(url, "echo", 3.0) == 3.0
    except OSError:
        return False


def test_an_image_that_is_not_here_is_told(docker: DockerClient, echo: Path) -> None:
    with pytest.raises(PreflightError, match="is not on this machine") as missing:
        Server.docker(echo, image="tritonforge-no-such-image:1", pull="never", **FREE_PORTS)
    assert "docker load" in str(missing.value)
    with pytest.raises(PreflightError, match=r"can't be pulled: .*connection refused"):
        Server.docker(echo, image="127.0.0.1:1/no/such:image", **FREE_PORTS)
    with pytest.raises(PreflightError, match=r"base image 127.* can't be pulled: .*\n  hint: .* another with --base"):
        find_image(docker, "127.0.0.1:1/no/such:image", as_base=True)


@pytest.mark.parametrize(("control", "missing"), [("none", "tritonserver"), ("explicit", "python3")])
def test_an_image_without_triton_is_told(docker: DockerClient, echo: Path, control: str, missing: str) -> None:
    """Where APIs want a key, it is its python3 that starts the server."""
    words = f"image {BASE}: holds no Triton server: {missing}, No such file or directory\n  hint: name one of NVIDIA's"
    with pytest.raises(PreflightError, match=re.escape(words)):
        Server.docker(echo, image=BASE, model_control=control, **FREE_PORTS)
