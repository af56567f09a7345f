"""Images that come from a real registry."""

from __future__ import annotations

import io
import re
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from container_support import Building, program, run
from repositories import FREE_PORTS, infer, until

from tritonforge.server import PreflightError, Server

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def registry(docker: DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a registry on loopback, where Docker asks for no TLS."""
    command, folder = program("docker-registry"), tmp_path_factory.mktemp("registry")
    (folder / "config.yml").write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\nhttp: {{addr: '127.0.0.1:0'}}\n"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([command, "serve", str(folder / "config.yml")], stdout=log, stderr=log)
    try:
        until(lambda: address(folder / "log"), "the registry")
        yield address(folder / "log")
    finally:
        process.kill()
        process.wait()


def address(log: Path) -> str:
    """Find in a registry's log where it listens; empty until it does."""
    found = re.search(r"listening on (127\.0\.0\.1:\d+)", log.read_text())
    return found[1] if found else ""


@pytest.fixture(scope="module")
def stored(docker: DockerClient, image: str, registry: str, building: Building) -> Iterator[tuple[str, str]]:
    """An image that is in the registry alone, but for the layers below its last: by tag, and by digest."""
    from docker.errors import ImageNotFound

    name = f"{registry}/team/fraud"
    dockerfile = f"FROM {image}\nLABEL of=registry\nRUN true > /tmp/new\n"
    with building():
        docker.images.build(fileobj=io.BytesIO(dockerfile.encode()), tag=name)
    pushed = [entry for entry in docker.images.push(name, tag="latest", stream=True, decode=True) if "aux" in entry]
    docker.images.remove(name, force=True)
    by_tag, by_digest = f"{name}:latest", f"{name}@{pushed[0]['aux']['Digest']}"
    yield by_tag, by_digest
    for reference in (by_tag, by_digest):
        with suppress(ImageNotFound):
            docker.images.remove(reference, force=True)


def test_an_image_is_pulled_with_progress_and_serves(docker: DockerClient, stored: tuple[str, str], echo: Path) -> None:
    for reference in stored:
        lines: list[str] = []
        with Server.docker(echo, image=reference, progress=lines.append, **FREE_PORTS) as server:
            assert infer(server.http_url, "echo", 3.0) == 3.0
        assert lines[-1].startswith(f"{reference}: 1 layer")
        docker.images.remove(reference, force=True)


def test_up_pulls_and_says_so(docker: DockerClient, stored: tuple[str, str], echo: Path) -> None:
    ports = ("--http-port", "0", "--grpc-port", "0", "--metrics-port", "0")
    try:
        up = run("up", str(echo), "--runtime", "docker", "--image", stored[0], "--name", "pulled", "--detach", *ports)
        assert "HTTP " in up
    finally:
        run("down", "pulled", exit_code=None)


def test_a_tag_that_the_registry_lacks_is_told(registry: str, stored: tuple[str, str], echo: Path) -> None:
    with pytest.raises(PreflightError, match=r"can't be pulled: .*(not found|manifest unknown)"):
        Server.docker(echo, image=f"{registry}/team/fraud:2", **FREE_PORTS)
