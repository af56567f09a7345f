"""Builds of images that end in their last stage: `scripts/with_docker.py pytest -m docker`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from container_support import BASE
from repositories import until

from tritonforge.server.docker.stages import sweep_stages

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = pytest.mark.docker

LARGE = 200_000_000
"""Bytes of a file that takes Docker a while to copy."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_build_that_is_ended_in_its_last_stage_leaves_nothing(
    docker: DockerClient, echo: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """Docker does the step that is under way, and its image has no label of who builds it."""
    repository = tmp_path / "large"
    shutil.copytree(echo, repository)
    (next(repository.glob("*/1")) / "large.bin").write_bytes(os.urandom(LARGE))
    command = [sys.executable, "-m", "tritonforge", "image", str(repository), "--tag", "tritonforge-test-late:latest"]
    command += ["--base", BASE, "--no-project-requirements"]
    before = unnamed(docker)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = iter(process.stderr)
        assert any("COPY models/" in line for line in said)
        process.send_signal(number)
        list(said)
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    assert docker.images.list("tritonforge-test-late") == []
    if number == signal.SIGKILL:
        until(lambda: unnamed(docker) - before, "what the steps have made")
        until(lambda: swept(docker) <= before, "its removal by the next build")
    # Beside other tests' builds, which have images without a name until they end.
    until(lambda: unnamed(docker) <= before, "an end without images that nobody names")


def swept(docker: DockerClient) -> set[str]:
    """Sweep as the next build does, and list what stays."""
    sweep_stages(docker)
    return unnamed(docker)


def unnamed(docker: DockerClient) -> set[str]:
    """List the images without a name, by their ids."""
    return {str(found.id) for found in docker.images.list(filters={"dangling": True})}
