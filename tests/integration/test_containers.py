"""Servers in containers, on the image that `tritonforge image` makes: `scripts/with_docker.py pytest -m docker`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from container_support import BASE, EXAMPLES, container, run
from repositories import DEADLINE_S, ECHO, FREE_PORTS, infer, until, write_model

from tritonforge.build import build
from tritonforge.client import Client
from tritonforge.server import ModelLoadError, PreflightError, Server, ServerDied, ServerError, SettingsError
from tritonforge.server.docker.client import build_image
from tritonforge.server.docker.stages import sweep_stages

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

    from tritonforge.server.docker.server import DockerServer

pytestmark = pytest.mark.docker

LARGEST = 700e6
"""Bytes: well under a gigabyte."""


@pytest.fixture(scope="session")
def examples(image: str) -> Iterator[DockerServer]:
    """The examples, mounted, in a container."""
    with Server.docker(EXAMPLES, image=image, **FREE_PORTS) as server:
        yield server


def test_the_image_is_small_and_not_roots(docker: DockerClient, image: str) -> None:
    facts = docker.images.get(image).attrs
    assert facts["Size"] < LARGEST
    assert facts["Config"]["User"] == "10001:10001"


def test_nothing_but_the_image_stays_of_a_build(docker: DockerClient, image: str) -> None:
    """Docker's classic builder leaves the stages before the last one without a name. Others may build meanwhile."""
    stages = {"dangling": True, "label": "io.tritonforge.stage"}
    until(lambda: docker.images.list(filters=stages) == [], "no stage is left")
    assert "io.tritonforge.stage" not in docker.images.get(image).labels


def test_the_image_serves_its_own_models(docker: DockerClient, image: str) -> None:
    running = docker.containers.run(image, detach=True, ports={"8000/tcp": ("127.0.0.1", None)}, read_only=False)
    try:
        until(lambda: health(running) == 0, "the image's health check")
        running.reload()
        port = running.attrs["NetworkSettings"]["Ports"]["8000/tcp"][0]["HostPort"]
        with Client(f"http://127.0.0.1:{port}") as client:
            assert client.infer("digits", image=np.zeros((1, 8, 8), np.uint8))["digit"].shape == (1, 1)
    finally:
        running.remove(force=True)


def health(running: Container) -> int:
    """Run the image's health check in a container; 0 is healthy."""
    test = running.image.attrs["Config"]["Healthcheck"]["Test"] if running.image else []
    code, _ = running.exec_run(test[1:])
    return int(code)


def test_the_examples_answer_alike_embedded_and_in_a_container(examples: DockerServer) -> None:
    random = np.random.default_rng(0)
    inputs = {
        "breast_cancer": {"features": random.normal(size=(16, 30)).astype(np.float32)},
        "digits": {"image": random.integers(0, 17, (16, 8, 8), np.uint8)},
    }
    with Server.embedded(EXAMPLES, **FREE_PORTS) as embedded:
        for name, given in inputs.items():
            with Client(embedded.http_url) as here, Client(examples.grpc_url) as there:
                one, other = here.infer(name, **given), there.infer(name, **given)
            assert one.outputs.keys() == other.outputs.keys()
            for output, value in one.outputs.items():
                np.testing.assert_array_equal(value, other.outputs[output])


def test_a_container_gets_no_more_than_it_needs(docker: DockerClient, examples: DockerServer) -> None:
    facts = container(docker, examples).attrs
    assert facts["HostConfig"]["CapDrop"] == ["ALL"]
    assert facts["Mounts"][0]["Destination"] == "/models"
    assert not facts["Mounts"][0]["RW"]
    published = facts["NetworkSettings"]["Ports"].values()
    assert {binding["HostIp"] for bindings in published if bindings for binding in bindings} == {"127.0.0.1"}
    assert container(docker, examples).exec_run(["id", "-u"]).output.strip() != b"0"
    assert facts["Config"]["Labels"]["io.tritonforge.server"] == examples.name


def test_shared_memory_is_as_large_as_was_said(docker: DockerClient, examples: DockerServer) -> None:
    assert examples.shared_memory.instances == 6
    assert shared_memory(docker, examples) == examples.shared_memory.size


def shared_memory(docker: DockerClient, server: DockerServer) -> int:
    """Ask a container for the size of its /dev/shm."""
    command = ["python3", "-c", "import os; s = os.statvfs('/dev/shm'); print(s.f_blocks * s.f_frsize)"]
    return int(container(docker, server).exec_run(command).output)


def test_settings_of_the_container_are_heeded(docker: DockerClient, image: str, echo: Path) -> None:
    limits = {"shm_size": "96m", "memory": "1g", "cpus": 0.5, "user": "1234:1234"}
    with Server.docker(echo, image=image, log_limit="1MiB", **limits, **FREE_PORTS) as server:
        assert infer(server.http_url, "echo", 3.0) == 3.0
        assert shared_memory(docker, server) == 96 << 20
        facts = container(docker, server).attrs
        assert facts["HostConfig"]["Memory"] == 1 << 30
        assert facts["HostConfig"]["NanoCpus"] == 500_000_000
        assert facts["HostConfig"]["LogConfig"]["Config"] == {"max-size": "1048576", "max-file": "2"}
        assert container(docker, server).exec_run(["id", "-u"]).output.strip() == b"1234"


def test_more_processors_than_there_are_are_refused_before_an_image_is_pulled(docker: DockerClient, echo: Path) -> None:
    there = docker.info()["NCPU"]
    with pytest.raises(SettingsError, match=rf"cpus: found {there + 1}: Docker's machine has {there} processors"):
        Server.docker(echo, image="127.0.0.1:1/no/such:image", cpus=there + 1, **FREE_PORTS)


def test_a_repository_is_mounted_whatever_is_in_its_path(image: str, tmp_path: Path) -> None:
    """A server that looks for changes itself has the repository mounted, others a snapshot."""
    write_model(tmp_path / "mod:els $x", "echo", ECHO)
    with Server.docker(tmp_path / "mod:els $x", image=image, model_control="poll", **FREE_PORTS) as server:
        assert infer(server.http_url, "echo", 3.0) == 3.0


def test_a_model_is_reloaded(image: str, echo: Path) -> None:
    with Server.docker(echo, image=image, model_control="explicit", **FREE_PORTS) as server:
        assert infer(server.http_url, "echo", 3.0) == 3.0
        (echo / "echo" / "1" / "model.py").write_text(ECHO.replace('"y", x', '"y", x * 2'))
        server.reload("echo")
        assert infer(server.http_url, "echo", 3.0) == 6.0
        server.unload("echo")
        until(lambda: [model.state for model in server.models()] == ["UNAVAILABLE"], "the model's end")


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


def test_more_shared_memory_than_the_machine_has_is_warned_of(image: str, echo: Path) -> None:
    lines: list[str] = []
    with Server.docker(echo, image=image, shm_size="1048576g", progress=lines.append, **FREE_PORTS) as server:
        assert infer(server.http_url, "echo", 3.0) == 3.0
    assert [line for line in lines if "shm_size: 1 PiB are more than Docker's machine has of memory, " in line] == lines


def test_shared_memory_with_which_nothing_starts_is_refused(image: str, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        write_model(tmp_path / "models", name, ECHO)
    with pytest.raises(PreflightError, match=r"shm_size: found 1 KiB, and 3 Python instances take 3 MiB"):
        Server.docker(tmp_path / "models", image=image, shm_size="1k", **FREE_PORTS)


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


def test_a_name_is_one_containers(image: str, echo: Path) -> None:
    with Server.docker(echo, image=image, name="first", **FREE_PORTS) as server:
        with pytest.raises(
            ServerError, match=r"(?s)already in use.*give this server another --name.*tritonforge-first$"
        ):
            Server.docker(echo, image=image, name="first", **FREE_PORTS)
        assert infer(server.http_url, "echo", 3.0) == 3.0


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


def test_models_have_environments_of_their_own(
    docker: DockerClient, image: str, tmp_path: Path, versions: Path
) -> None:
    """What they put into /tmp doesn't pile up where models are loaded anew."""
    build([versions], tmp_path / "models")
    with Server.docker(tmp_path / "models", image=image, model_control="explicit", **FREE_PORTS) as server:
        server.unload("old")
        until(lambda: "UNAVAILABLE" in {model.state for model in server.models()}, "the model's end")
        server.load("old")
        assert [answer(server.http_url, model) for model in ("old", "new")] == [1.0, 2.0]
        there = container(docker, server).exec_run(["ls", "/tmp"]).output.decode().split()
        assert len([name for name in there if name.startswith("tritonforge-environment-")]) == 2


def answer(url: str, model: str) -> float:
    """Ask a model of `versions` for the version of the package that it has."""
    with Client(url) as client:
        return float(client.infer(model, x=np.ones((1, 1), np.float32))["output"][0, 0])


def test_an_image_that_is_not_here_is_told(docker: DockerClient, echo: Path, tmp_path: Path) -> None:
    with pytest.raises(PreflightError, match="is not on this machine") as missing:
        Server.docker(echo, image="tritonforge-no-such-image:1", pull="never", **FREE_PORTS)
    assert "docker load" in str(missing.value)
    with pytest.raises(PreflightError, match=r"can't be pulled: .*connection refused"):
        Server.docker(echo, image="127.0.0.1:1/no/such:image", **FREE_PORTS)
    (tmp_path / "Dockerfile").write_text("FROM 127.0.0.1:1/no/such:image\n")
    with pytest.raises(PreflightError, match=r"base image 127.* can't be pulled: .*\n  hint: .* another with --base"):
        build_image(docker, tmp_path, "tritonforge-test-none", lambda line: None)


@pytest.mark.parametrize(("control", "missing"), [("none", "tritonserver"), ("explicit", "python3")])
def test_an_image_without_triton_is_told(docker: DockerClient, echo: Path, control: str, missing: str) -> None:
    """Where APIs want a key, it is its python3 that starts the server."""
    words = f"image {BASE}: holds no Triton server: {missing}, No such file or directory\n  hint: name one of NVIDIA's"
    with pytest.raises(PreflightError, match=re.escape(words)):
        Server.docker(echo, image=BASE, model_control=control, **FREE_PORTS)


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
