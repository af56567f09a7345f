"""Builds of images that end in their last stage: `scripts/with_docker.py pytest -m docker`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from container_support import BASE
from repositories import until

from tritonforge.server.docker.stages import sweep_stages

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("only_build")]

SWEPT_WITHIN_S = 60
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
    before = unfinished(docker)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = iter(process.stderr)
        assert any("COPY models/" in line for line in said)
        process.send_signal(number)
        list(said)
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    assert docker.images.list("tritonforge-test-late") == []
    if number == signal.SIGKILL:
        until(lambda: unfinished(docker) - before, "what the steps have made")
    else:
        assert unfinished(docker) <= before
    deadline = time.monotonic() + SWEPT_WITHIN_S
    while swept(docker) - before:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def swept(docker: DockerClient) -> set[str]:
    """Sweep as the next build does, and list what stays."""
    sweep_stages(docker)
    return unfinished(docker)


def unfinished(docker: DockerClient) -> set[str]:
    """List the images that have neither a name nor the last step of a build, by their ids."""
    from docker.errors import ImageNotFound

    found = set[str]()
    for row in docker.api.images(filters={"dangling": True}):
        with suppress(ImageNotFound):  # another build's, that is over
            image = docker.images.get(row["Id"])
            if (image.attrs["Config"].get("Cmd") or [""])[0] != "tritonserver":
                found.add(str(image.id))
    return found
