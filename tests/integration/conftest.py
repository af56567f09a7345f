"""A real embedded server for the tests that need one, and the writing of small repositories for it."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from repositories import ECHO, write_model

from tritonforge.server import Server


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


@pytest.fixture
def versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Definitions of two models, each with another version of a package in its environment; a cache for those."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    project = tmp_path / "project"
    project.mkdir()
    for name, version in (("old", "1.0"), ("new", "2.0")):
        write_wheel(tmp_path / "wheels", version)
        (project / f"{name}.txt").write_text(f"--find-links {tmp_path / 'wheels'}\ntritonforge-tiny=={version}\n")
    (project / "serving.py").write_text(VERSIONS)
    return project / "serving.py"


def write_wheel(folder: Path, version: str) -> None:
    """Write a wheel of a package whose only content is its version."""
    folder.mkdir(exist_ok=True)
    info = f"tritonforge_tiny-{version}.dist-info"
    with zipfile.ZipFile(folder / f"tritonforge_tiny-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tritonforge_tiny.py", f"VERSION = {version}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tritonforge-tiny\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
