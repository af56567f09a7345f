"""The command line and the environment that tritonserver is started with."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path

from tritonforge.server.installation import Installation
from tritonforge.server.settings import ServerSettings

__all__ = ["served_ports", "server_command", "server_environment"]

_FALSE = {"0", "false", "False"}


def server_command(
    installation: Installation, repository: Path, backends: Path, *, settings: ServerSettings, shared_memory: str
) -> list[str]:
    """Build the server's command line; `shared_memory` is the prefix of its segments' names in /dev/shm.

    The server stays up where a model fails to load: its index then tells why.
    """
    return [
        str(installation.server),
        f"--model-repository={repository}",
        f"--backend-directory={backends}",
        f"--cache-directory={installation.caches}",
        f"--backend-config=python,shm-region-prefix-name={shared_memory}",
        "--exit-on-error=false",
        f"--exit-timeout-secs={max(1, int(settings.exit_timeout_s))}",
        f"--http-address={settings.host}",
        f"--grpc-address={settings.host}",
        f"--metrics-address={settings.host}",
        f"--http-port={settings.http_port}",
        f"--grpc-port={settings.grpc_port}",
        f"--metrics-port={settings.metrics_port}",
        f"--log-verbose={settings.log_verbose}",
        *settings.extra_args,
    ]


def server_environment(base: Mapping[str, str], *, python: Path, libraries: Iterable[Path]) -> dict[str, str]:
    """Give a copy of an environment in which the stub finds its Python and both find their libraries.

    `python` is the folder that leads PATH.
    """
    environment = dict(base)
    environment["PATH"] = _lead([python], environment.get("PATH", os.defpath))
    environment["LD_LIBRARY_PATH"] = _lead(libraries, environment.get("LD_LIBRARY_PATH", ""))
    environment["PYTHONDONTWRITEBYTECODE"] = "1"  # for the processes that models start; stubs heed prelude.py
    environment["PYTHONUNBUFFERED"] = "1"
    return environment


def served_ports(settings: ServerSettings) -> set[int]:
    """Give the ports that the server will listen on: all three, but for services switched off by `extra_args`."""
    arguments = " ".join(settings.extra_args).replace("=", " ").split()
    off = {flag for flag, value in pairwise(arguments) if value in _FALSE}
    ports = {settings.http_port}
    if "--allow-grpc" not in off:
        ports.add(settings.grpc_port)
    if "--allow-metrics" not in off:
        ports.add(settings.metrics_port)
    return ports


def _lead(folders: Iterable[Path], rest: str) -> str:
    """Put folders before a search path."""
    return os.pathsep.join([*(str(folder) for folder in folders), *([rest] if rest else [])])
