"""What the tests of containers share: the images, and the command line."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

    from tritonforge.server.docker.server import DockerServer

Building = Callable[[], AbstractContextManager[None]]
"""A lock: `with building():` has no other worker build an image."""

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


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Have one process at a time in such a block."""
    with file.open("a") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield


@contextmanager
def shared(users: Path, *, make: Callable[[], None], remove: Callable[[], None]) -> Iterator[None]:
    """Have what several processes use, which the first one makes and the last one removes; a file counts them."""
    _count(users, 1, at_zero=make)
    try:
        yield
    finally:
        _count(users, -1, at_zero=remove)


def _count(users: Path, change: int, *, at_zero: Callable[[], None]) -> None:
    """Change the count of users, with nobody else at it; call something where it was, or is now, 0."""
    with users.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        before = int(file.read() or 0)
        if 0 in (before, before + change):
            at_zero()
        file.truncate(0)
        file.write(str(before + change))


def program(name: str) -> str:
    """Find a program that scripts/with_docker.py brings, or skip."""
    found = shutil.which(name)
    if not found:
        pytest.skip(f"needs {name}: scripts/with_docker.py brings it")
    return found
