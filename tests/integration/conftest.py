"""A real embedded server for the tests that need one, small repositories for it, and Docker with an image."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from container_support import BASE, EXAMPLES, IMAGE, Building, locked, shared
from repositories import ECHO, write_model, write_wheel

from tritonforge.server import PreflightError, Server

if TYPE_CHECKING:
    from docker import DockerClient


@pytest.fixture(scope="session", autouse=True)
def hangups() -> None:
    """Let SIGHUP end what tests start, under nohup, too: what a program ignores, those that it starts ignore."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.fixture(scope="session")
def echo_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of two Python models, `echo` and `double`, each FP32[batch, 1] → FP32[batch, 1], `x` → `y`."""
    repository = tmp_path_factory.mktemp("echo_repository")
    write_model(repository, "echo", ECHO)
    write_model(repository, "double", ECHO.replace("as_numpy()", "as_numpy() * 2"))
    return repository


@pytest.fixture(scope="session")
def server(echo_repository: Path) -> Iterator[Server]:
    """An embedded server of `echo_repository` for the whole session; no test may stop or change it."""
    with Server.embedded(echo_repository, http_port=0, grpc_port=0, metrics_port=0, exit_timeout_s=0) as running:
        yield running
        assert running.wait(0) is None, f"it ended by itself; its last words:\n{running.log_text()[-4000:]}"


VERSIONS = """
import numpy as np
from jaxtyping import Float32

from tritonforge import model


class Version:
    def __init__(self) -> None:
        import tritonforge_tiny

        self.version = tritonforge_tiny.VERSION

    def __call__(self, x: Float32[np.ndarray, "batch 1"]) -> Float32[np.ndarray, "batch 1"]:
        return x * np.float32(self.version)


old = model(environment="old.txt", name="old")(Version)
new = model(environment="new.txt", name="new")(Version)
"""


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Definitions of two models, each with another version of a package in its environment; a cache for those."""
    folder = tmp_path_factory.mktemp("versions")
    project = folder / "project"
    project.mkdir()
    for name, version in (("old", "1.0"), ("new", "2.0")):
        write_wheel(folder / "wheels", version)
        (project / f"{name}.txt").write_text(f"--find-links {folder / 'wheels'}\ntritonforge-tiny=={version}\n")
    (project / "serving.py").write_text(VERSIONS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield project / "serving.py"


@pytest.fixture(scope="session")
def docker() -> Iterator[DockerClient]:
    """Docker, or a skip with the reason."""
    from tritonforge.server.docker.client import connect, find_image

    try:
        client = connect()
        find_image(client, BASE, pull="never")
    except PreflightError as error:
        pytest.skip(f"{error.diagnostics[0].message}; scripts/with_docker.py starts one and makes {BASE}")
    yield client
    client.close()


@pytest.fixture(scope="session")
def workers_folder(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Path:
    """A folder that all workers of this run have."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if hasattr(pytestconfig, "workerinput") else folder


@pytest.fixture(scope="session")
def building(workers_folder: Path) -> Building:
    """A lock of all workers, as not all that Docker has of a build says whose it is."""
    return lambda: locked(workers_folder / "building")


@pytest.fixture
def only_build(building: Building) -> Iterator[None]:
    """Have no other worker build an image during a test."""
    with building():
        yield


@pytest.fixture(scope="session")
def image(
    docker: DockerClient,
    tmp_path_factory: pytest.TempPathFactory,
    workers_folder: Path,
    building: Building,
) -> Iterator[str]:
    """The slim image of the examples, their models baked in; one for all workers of this run."""
    from tritonforge.image import ImageOptions, write_context
    from tritonforge.server.docker.client import build_image

    def make() -> None:
        context = tmp_path_factory.mktemp("image") / "context"
        write_context(EXAMPLES, context, ImageOptions(base=BASE))
        with building():
            build_image(docker, context, IMAGE, lambda line: None)

    users = workers_folder / "users_of_the_image"
    with shared(users, make=make, remove=lambda: docker.images.remove(IMAGE, force=True)):
        yield IMAGE


@pytest.fixture
def echo(tmp_path: Path) -> Path:
    """A repository with one model, x → x."""
    write_model(tmp_path / "models", "echo", ECHO)
    return tmp_path / "models"
