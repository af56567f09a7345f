"""What Docker is asked for: a repository, settings and an image's facts → the arguments of a container."""

from __future__ import annotations

import inspect
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tritonforge.manifest import MANIFEST
from tritonforge.server.docker import start
from tritonforge.server.docker.names import LABEL
from tritonforge.server.docker.settings import DockerSettings, gpu_ids
from tritonforge.server.guard import hidden_arguments
from tritonforge.server.repository.folder import model_folders
from tritonforge.server.repository.reloading import Served
from tritonforge.server.settings.command import SLEEPING_THREADS, server_flags
from tritonforge.server.settings.server import PORTS, ServerSettings

__all__ = [
    "INSIDE",
    "MODELS",
    "Image",
    "container_arguments",
    "container_user",
    "stop_timeout_s",
]

MODELS = "/models"
"""Where a container has the repository."""

INSIDE = dict(zip(PORTS, (8000, 8001, 8002), strict=True))
"""The ports on which the server listens in the container."""

_PROGRAMS = "/tritonforge"
_GRACE_S = 5
"""What a container gets beyond the server's own exit timeout."""

_ANYBODY = 1000
"""The user and group of NVIDIA's images that may run the server (`triton-server`)."""
_NOBODY = -1
"""None of the users that own files."""
_ROOT = frozenset({"", "0", "root"})
"""Who an image runs as that names nobody else."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image's name, the user that it runs as, its size in bytes, its labels, and the variables that it sets."""

    name: str
    user: str = ""
    size: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    variables: frozenset[str] = frozenset()

    @property
    def ours(self) -> bool:
        """Whether `tritonforge image` made it on a slim base: its onnxruntime and pytorch then run in Python."""
        return self.labels.get(f"{LABEL}.image") == "slim"

    @property
    def python_backends(self) -> tuple[str, ...]:
        """The backends that run in Python there, whose instances take shared memory."""
        return ("python", "onnxruntime", "pytorch") if self.ours else ("python",)


def container_arguments(
    served: Served,
    settings: ServerSettings,
    docker: DockerSettings,
    *,
    image: Image,
    name: str,
    launch: str,
    guard: str,
    shm_bytes: int,
) -> dict[str, Any]:
    """Give the arguments for the SDK's `containers.create`; a port of 0 leaves the choice to Docker.

    The ports inside are fixed, and listen on the container's own network; `settings.host` is where they are published.
    """
    threads = {name: value for name, value in SLEEPING_THREADS.items() if name not in image.variables}
    command, environment, programs = _hidden(_tritonserver(settings), settings)
    mounted = {served.folder: MODELS, **_certificates(settings), **programs}
    arguments: dict[str, Any] = {
        "image": image.name,
        "name": f"tritonforge-{name}",
        "command": command,
        "environment": {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1", **threads, **environment},
        "ports": {f"{inside}/tcp": (settings.host, getattr(settings, port) or None) for port, inside in INSIDE.items()},
        "mounts": [_mount(path, target) for path, target in mounted.items()],
        "shm_size": shm_bytes,
        "labels": {
            f"{LABEL}.server": name,
            f"{LABEL}.repository": str(served.repository),
            f"{LABEL}.launch": launch,
            f"{LABEL}.guard": guard,
        },
        "user": container_user(served.repository, docker, image),
        "init": True,  # buries the models' processes, and passes signals on
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "stop_signal": "SIGTERM",
        "device_requests": _devices(docker.gpus),
    }
    if settings.log_limit:  # of Docker's own copy of the log
        config = {"max-size": str(int(settings.log_limit)), "max-file": "2"}
        arguments["log_config"] = {"type": "json-file", "config": config}
    if docker.memory is not None:
        arguments["mem_limit"] = docker.memory
    if docker.cpus is not None:
        arguments["nano_cpus"] = int(docker.cpus * 1e9)
    if docker.restart != "no":
        arguments["restart_policy"] = {"Name": docker.restart}
    return arguments


def container_user(repository: Path, docker: DockerSettings, image: Image) -> str:
    """Choose a user that can read the repository: as told, its owner, or the image's own; root if only root can.

    The snapshot that is served has other owners; what can be read there is the same.
    """
    if docker.user:
        return docker.user
    owner = repository.stat()
    if owner.st_uid and (_readable(repository, owner.st_uid, owner.st_gid) or not _readable(repository, 0, 0)):
        return f"{owner.st_uid}:{owner.st_gid}"
    if _readable(repository, _NOBODY, _NOBODY):
        return f"{_ANYBODY}:{_ANYBODY}" if image.user.partition(":")[0] in _ROOT else image.user
    return "0:0"


def _readable(repository: Path, user: int, group: int) -> bool:
    """Tell whether somebody without capabilities, as in a container, can read a repository's models."""
    folders = [repository]
    for model in model_folders(repository):
        folders += [Path(root) for root, _, _ in os.walk(model) if "__pycache__" not in Path(root).parts]
    files = [repository / MANIFEST, *(path for folder in folders[1:] for path in folder.iterdir())]
    return all(_allows(path, user, group) for path in [*folders, *files])


def _allows(path: Path, user: int, group: int) -> bool:
    """Tell whether a file's mode, or a folder's, allows somebody to read it; what isn't there is no hindrance."""
    try:
        found = path.stat()
    except OSError:
        return True
    shift = 6 if user == found.st_uid else 3 if group == found.st_gid else 0
    wanted = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(found.st_mode) else 0)
    return found.st_mode >> shift & wanted == wanted


def _tritonserver(settings: ServerSettings) -> list[str]:
    """Give the command; NVIDIA's images and ours have `tritonserver` on PATH, with its backends where it looks."""
    return [
        "tritonserver",
        f"--model-repository={MODELS}",
        *(f"--{port.replace('_', '-')}={inside}" for port, inside in INSIDE.items()),
        *server_flags(settings),
    ]


def _hidden(command: list[str], settings: ServerSettings) -> tuple[list[str], dict[str, str], dict[Path, str]]:
    """Take the key of restricted APIs, which `ps` would show, out of a command; give what brings it there instead."""
    if not settings.restricted or settings.restricted_key is None:
        return command, {}, {}
    shown, environment, _ = hidden_arguments.conceal(command, {}, settings.restricted_key.get_secret_value())
    files = [Path(inspect.getfile(module)) for module in (start, hidden_arguments)]
    programs = {file: f"{_PROGRAMS}/{file.name}" for file in files}
    return ["python3", f"{_PROGRAMS}/{files[0].name}", *shown], environment, programs


def _devices(gpus: str) -> list[dict[str, Any]]:
    """Ask for GPUs: all, some number, or those of these ids."""
    if not gpus:
        return []
    ids = gpu_ids(gpus)
    chosen: dict[str, Any] = {"device_ids": ids} if ids else {"count": -1 if gpus == "all" else int(gpus)}
    return [{**chosen, "capabilities": [["gpu"]]}]


def _certificates(settings: ServerSettings) -> dict[Path, str]:
    """Put the files of TLS where the server's flags name them."""
    files = (settings.grpc_tls_cert, settings.grpc_tls_key, settings.grpc_tls_root)
    return {file: str(file) for file in files if file is not None}


def _mount(path: Path, target: str) -> dict[str, Any]:
    """Mount a path for reading, as Docker's API has it: its volumes would be split at a colon in there."""
    return {"Type": "bind", "Source": str(path), "Target": target, "ReadOnly": True}


def stop_timeout_s(settings: ServerSettings) -> int:
    """Give what a container gets between SIGTERM and SIGKILL."""
    return int(settings.exit_timeout_s) + _GRACE_S
