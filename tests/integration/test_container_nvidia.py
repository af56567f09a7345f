"""NVIDIA's image, as a stand-in laid out like it, and GPUs, as a container is told of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from container_support import EXAMPLES, Building, container, run
from repositories import FREE_PORTS, infer, write_wheel

from tritonforge.build import build
from tritonforge.client import Client
from tritonforge.server import Server, ServerError
from tritonforge.server.docker.client import build_image
from tritonforge.server.docker.settings import release_image

if TYPE_CHECKING:
    from docker import DockerClient

    from tritonforge.server.docker.server import DockerServer

pytestmark = pytest.mark.docker

NVIDIA = release_image("24.10")

STAND_IN = """
FROM {image}
LABEL io.tritonforge.image=""
USER root
RUN useradd --uid 1000 triton-server && mkdir -p /opt/nvidia \\
    && printf '#!/bin/sh\\necho "== Triton Inference Server =="\\nexec "$@"\\n' > /opt/nvidia/nvidia_entrypoint.sh \\
    && chmod +x /opt/nvidia/nvidia_entrypoint.sh
WORKDIR /opt/tritonserver
ENTRYPOINT ["/opt/nvidia/nvidia_entrypoint.sh"]
CMD []
"""
"""NVIDIA's image starts as root, with an entrypoint that prints a banner and executes what it is given; it can't be
pulled here. Triton, its folders and its python3 are those of the slim image, which has them in the same places."""

NEEDY = """
import numpy as np
from jaxtyping import Float32

from tritonforge import model


@model(requirements=["tritonforge-tiny==2.0"])
def needy(x: Float32[np.ndarray, "batch 1"]) -> Float32[np.ndarray, "batch 1"]:
    import tritonforge_tiny

    return x * np.float32(tritonforge_tiny.VERSION)
"""


@pytest.fixture(scope="module")
def nvidia(
    docker: DockerClient,
    image: str,
    tmp_path_factory: pytest.TempPathFactory,
    building: Building,
) -> Iterator[str]:
    """A stand-in by the name of NVIDIA's image of release 24.10."""
    try:
        docker.images.get(NVIDIA)
    except Exception:  # it isn't here: the SDK's error, which is imported where it is installed alone
        folder = tmp_path_factory.mktemp("nvidia")
        (folder / "Dockerfile").write_text(STAND_IN.format(image=image))
        with building():
            build_image(docker, folder, NVIDIA, lambda line: None)
        yield NVIDIA
        docker.images.remove(NVIDIA, force=True)
    else:
        yield NVIDIA


def test_without_an_image_it_is_nvidias_of_the_repositorys_release(docker: DockerClient, nvidia: str) -> None:
    """Its entrypoint starts the server, as a user other than root."""
    with Server.docker(EXAMPLES, **FREE_PORTS) as server, Client(server.http_url) as client:
        assert nvidia in getattr(container(docker, server).image, "tags", [])
        assert container(docker, server).exec_run(["id", "-u"]).output.strip() != b"0"
        assert "== Triton Inference Server ==" in server.log_text()
        assert client.infer("digits", image=np.zeros((1, 8, 8), np.uint8))["digit"].shape == (1, 1)


@pytest.mark.usefixtures("only_build")
def test_an_image_is_built_on_nvidias(docker: DockerClient, nvidia: str, tmp_path: Path) -> None:
    """The packages of the definitions go into its python3, and its models are baked in."""
    write_wheel(tmp_path / "wheels", "2.0")
    (tmp_path / "needy.py").write_text(NEEDY)
    build([tmp_path / "needy.py"], tmp_path / "models")
    tag = "tritonforge-test-nvidia:latest"
    # By its name as a base of another's: the stand-in's Python is not the one of NVIDIA's image.
    run("image", str(tmp_path / "models"), "--nvidia", "--base", nvidia, "--python", "3.11", "--tag", tag,
        "--no-project-requirements", f"--pip-arg=--find-links={tmp_path / 'wheels'}")  # fmt: skip
    facts = docker.images.get(tag).attrs["Config"]
    assert facts["User"] == "1000:1000"
    assert facts["Entrypoint"] == ["/opt/nvidia/nvidia_entrypoint.sh"]
    running = docker.containers.run(tag, detach=True, ports={"8000/tcp": ("127.0.0.1", None)})
    try:
        running.reload()
        port = running.attrs["NetworkSettings"]["Ports"]["8000/tcp"][0]["HostPort"]
        with Client(f"http://127.0.0.1:{port}") as client:
            client.wait_ready("needy", timeout_s=60)
            assert client.infer("needy", x=np.ones((1, 1), np.float32))["output"][0, 0] == 2.0
    finally:
        running.remove(force=True)
        docker.images.remove(tag, force=True)


@pytest.mark.parametrize(("gpus", "told"), [("all", "all"), ("0,2", "0,2")])
def test_gpus_are_those_that_were_asked_for(docker: DockerClient, image: str, echo: Path, gpus: str, told: str) -> None:
    server = start(echo, image, gpus)
    with server:
        assert infer(server.http_url, "echo", 3.0) == 3.0
        variables = container(docker, server).exec_run(["cat", "/proc/1/environ"]).output.decode().split("\0")
        found = dict(pair.split("=", 1) for pair in variables if pair)
        assert found.get("NVIDIA_VISIBLE_DEVICES") == told


def start(repository: Path, image: str, gpus: str) -> DockerServer:
    """Start a container with GPUs, or skip where Docker is told of none."""
    try:
        return Server.docker(repository, image=image, gpus=gpus, **FREE_PORTS)
    except ServerError as error:
        if gpus and "NVIDIA's container toolkit" in str(error):
            pytest.skip("needs NVIDIA's container toolkit, or the stand-in that scripts/with_docker.py has for it")
        raise
