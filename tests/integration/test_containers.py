"""Servers in containers, on the image that `tritonforge image` makes: `scripts/with_docker.py pytest -m docker`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from container_support import EXAMPLES, container
from repositories import ECHO, FREE_PORTS, infer, until, write_model

from tritonforge.build import build
from tritonforge.client import Client
from tritonforge.server import PreflightError, Server, ServerError, SettingsError

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


@pytest.mark.usefixtures("only_build")
def test_nothing_but_the_image_stays_of_a_build(docker: DockerClient, image: str) -> None:
    """Docker's classic builder leaves the stages before the last one without a name."""
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
    assert examples.shared_memory.instances == 8, "two of each ONNX model, which says no number"
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


def test_a_name_is_one_containers(image: str, echo: Path) -> None:
    with Server.docker(echo, image=image, name="first", **FREE_PORTS) as server:
        with pytest.raises(
            ServerError, match=r"(?s)already in use.*give this server another --name.*tritonforge-first$"
        ):
            Server.docker(echo, image=image, name="first", **FREE_PORTS)
        assert infer(server.http_url, "echo", 3.0) == 3.0


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
