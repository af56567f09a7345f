"""A real embedded server for the tests that need one, and the writing of small repositories for it."""

from __future__ import annotations

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
