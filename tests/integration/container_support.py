"""What the tests of containers share: the images, and the command line."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

    from tritonforge.server.docker import DockerServer

BASE = "tritonforge-test-base:bookworm"
IMAGE = "tritonforge-test-slim:latest"
EXAMPLES = Path(__file__).parents[2] / "generated_repo"


def container(docker: DockerClient, server: DockerServer) -> Container:
    """Find a server's container."""
    return docker.containers.get(server.container_id)


def run(*arguments: str, exit_code: int | None = 0) -> str:
    """Run a command of tritonforge's, and give what it prints; None takes any exit code."""
    command = [sys.executable, "-m", "tritonforge", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert exit_code in (None, done.returncode), done.stderr
    return done.stdout


def program(name: str) -> str:
    """Find a program that scripts/with_docker.py brings, or skip."""
    found = shutil.which(name)
    if not found:
        pytest.skip(f"needs {name}: scripts/with_docker.py brings it")
    return found
