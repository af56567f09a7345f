"""Docker itself: the connection, and images that are there, pulled, or built."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tritonforge.errors import Diagnostic, Where
from tritonforge.server.docker.absent import explain_absence, hangs
from tritonforge.server.docker.container import Image
from tritonforge.server.docker.stages import (
    name_stage,
    remove_interrupted,
    remove_stage,
    remove_unfinished,
    sweep_stages,
)
from tritonforge.server.errors import DaemonHangs, PreflightError, ServerError

if TYPE_CHECKING:
    from docker import DockerClient

__all__ = ["build_image", "connect", "find_image", "told"]

_STAGE_ARGUMENT = "TRITONFORGE_BUILD"
"""The argument of our Dockerfiles that labels the images of their earlier stages."""

FIRST_CONTACT_S = 10
"""How long a daemon may take for its first answer; one that hangs takes connections, and says nothing."""

_SOCKET = "unix:///var/run/docker.sock"
_OFFLINE = (
    "load it from a file (`docker load`), name another with --image, or make a small one of your own: tritonforge image"
)

_NO_BASE = "load it from a file (`docker load`), or name another with --base"


_MENDS = (
    (
        re.compile(r"port is already allocated|address already in use"),
        "choose other ports with --http-port, --grpc-port, --metrics-port; 0 takes free ones",
    ),
    (
        re.compile(r'Conflict.*name "/(?P<name>[^"]+)"'),
        "give this server another --name, or remove that container, if nobody needs it: docker rm -f {name}",
    ),
    (
        re.compile(r"unable to find (?:user|group)|linux spec user"),
        "--docker user=… is uid:gid, or names that the image has",
    ),
    (
        re.compile(r"bind source path does not exist"),
        "the daemon must see the files of this machine: one elsewhere doesn't; build an image: tritonforge image",
    ),
)
"""What Docker says as it refuses, and how to mend that."""

_NO_GPUS = (
    (
        re.compile(r"libnvidia-ml\.so|driver not loaded|driver (?:rpc )?error|nvml error", re.IGNORECASE),
        "NVIDIA's driver is missing on Docker's machine, or isn't loaded: install it, or leave --gpus out",
    ),
    (
        re.compile(r"unknown device"),
        "Docker's machine has no such GPU; nvidia-smi -L lists those that it has",
    ),
    (
        re.compile(r"could not select device driver|nvidia-container", re.IGNORECASE),
        "GPUs in containers need NVIDIA's container toolkit; or leave --gpus out",
    ),
)
"""The same of GPUs that it can't give."""


def connect() -> DockerClient:
    """Reach the Docker daemon: DOCKER_HOST's, or this machine's.

    Raises:
        PreflightError: the SDK is missing, or no daemon answers.
        DaemonHangs: one is there, and says nothing.
    """
    try:
        import docker
        from docker.constants import DEFAULT_TIMEOUT_SECONDS
        from docker.errors import DockerException
    except ImportError as error:
        message = "the Python package docker is not installed"
        raise PreflightError([Diagnostic("TF530", Where(), message, 'pip install "tritonforge[docker]"')]) from error
    try:
        _knock()
        client = docker.from_env(timeout=FIRST_CONTACT_S)
    except (DockerException, OSError) as error:
        kind = DaemonHangs if hangs(error) else PreflightError
        raise kind([explain_absence(error, os.environ.get("DOCKER_HOST") or _SOCKET)]) from error
    client.api.timeout = DEFAULT_TIMEOUT_SECONDS  # creating a container may take its time
    return client


def _knock() -> None:
    """Try the daemon's socket: where none answers the SDK would leave one of its own open (docker 7.2).

    Raises:
        OSError: nobody listens there, or takes what waits.
    """
    scheme, _, path = (os.environ.get("DOCKER_HOST") or _SOCKET).partition("://")
    if scheme == "unix":
        with socket.socket(socket.AF_UNIX) as attempt:
            attempt.settimeout(FIRST_CONTACT_S)
            attempt.connect(path)


def find_image(
    client: DockerClient,
    name: str,
    *,
    pull: Literal["missing", "never", "always"] = "missing",
    progress: Callable[[str], None] = lambda line: None,
    as_base: bool = False,
) -> Image:
    """Find an image, pulled if need be; `progress` gets a line now and then. `as_base`: another is built on it.

    Raises:
        PreflightError: it isn't here, and can't be had.
    """
    from docker.errors import APIError, ImageNotFound

    where, offline = (
        (Where(subject=f"the base image {name}"), _NO_BASE) if as_base else (Where(subject=f"image {name}"), _OFFLINE)
    )
    try:
        if pull != "always":
            return _image(client, name)
    except ImageNotFound as error:
        if pull == "never":
            raise PreflightError([Diagnostic("TF531", where, "is not on this machine", offline)]) from error
    try:
        for line in _pulled(client, name):
            progress(line)
        return _image(client, name)
    except (APIError, ServerError, OSError) as error:
        message, hint = f"is not on this machine, and can't be pulled: {_reason(error)}", offline
        if pull == "always" and _is_here(client, name):
            message, hint = (
                f"can't be pulled: {_reason(error)}",
                "it is on this machine: --docker pull=missing takes that",
            )
        raise PreflightError([Diagnostic("TF531", where, message, hint)]) from error


def build_image(client: DockerClient, context: Path, tag: str, progress: Callable[[str], None]) -> Image:
    """Build the image of a folder's Dockerfile; `progress` gets what its steps print.

    Nothing but that image stays: those of earlier stages go, which Docker's classic builder leaves without a name, and
    so do those of a build that ends early, and what builds left that were killed.

    Raises:
        ServerError: a step fails; with the end of what it printed.
    """
    from docker.errors import APIError, DockerException

    said: list[str] = []
    sweep_stages(client)
    stage = name_stage()
    options: dict[str, Any] = {"rm": True, "forcerm": True, "decode": True, "buildargs": {_STAGE_ARGUMENT: stage}}
    try:
        with closing(client.api.build(path=str(context), tag=tag, **options)) as entries:
            for entry in entries:
                if line := str(entry.get("stream", "")).rstrip():
                    said.append(line)
                    progress(line)
                if "error" in entry:
                    raise _build_error(str(entry["error"]), said)
    except APIError as error:
        raise ServerError(f"the image can't be built: {_reason(error)}") from error
    except ServerError:
        with suppress(DockerException):
            remove_unfinished(client, stage, said)
        raise
    except KeyboardInterrupt:
        with suppress(DockerException):
            remove_interrupted(client, stage, said)
        raise
    finally:
        with suppress(APIError):
            remove_stage(client, stage)
    return _image(client, tag)


def _build_error(reason: str, said: Sequence[str]) -> ServerError:
    end = "\n".join(said[-12:])
    return ServerError(f"the image can't be built: {reason}\nthe end of its output:\n{end}")


@contextmanager
def told(what: str) -> Iterator[None]:
    """Have Docker's own errors raised as ours, with its words.

    Raises:
        PreflightError: it can't give the GPUs.
        ServerError: Docker refuses.
    """
    from docker.errors import DockerException

    try:
        yield
    except DockerException as error:
        message = f"{what}: {_reason(error)}"
        for refused, mend in _NO_GPUS:
            if refused.search(message):
                raise PreflightError([Diagnostic("TF545", Where(), message, mend)]) from error
        raise ServerError(f"{message}{_hint(_reason(error))}") from error


def _image(client: DockerClient, name: str) -> Image:
    facts: Mapping[str, Any] = client.images.get(name).attrs
    config: Mapping[str, Any] = facts.get("Config") or {}
    variables = frozenset(line.partition("=")[0] for line in config.get("Env") or ())
    return Image(name, config.get("User") or "", int(facts.get("Size", 0)), config.get("Labels") or {}, variables)


def _is_here(client: DockerClient, name: str) -> bool:
    from docker.errors import DockerException

    try:
        client.images.get(name)
    except DockerException:
        return False
    return True


def _pulled(client: DockerClient, name: str) -> Iterator[str]:
    """Pull an image; give a line for each layer that is done, with the bytes so far.

    Raises:
        ServerError: the registry's refusal, which comes in the stream.
    """
    repository, tag = (name, None) if "@" in name or ":" not in name.rpartition("/")[2] else name.rsplit(":", 1)
    done, sizes = set(), {}
    for entry in client.api.pull(repository, tag=tag or "latest", stream=True, decode=True):
        if "error" in entry:
            raise ServerError(str(entry["error"]))
        detail, status, layer = entry.get("progressDetail") or {}, str(entry.get("status", "")), str(entry.get("id"))
        if status == "Downloading" and "total" in detail:  # of a small layer there may be none
            sizes[layer] = int(detail["current"])
        elif status == "Pull complete":
            done.add(layer)
            yield f"{name}: {len(done)} layer{'s'[: len(done) != 1]}, {sum(sizes.values()) >> 20} MiB so far"


def _reason(error: Exception) -> str:
    """Find Docker's own words in an error."""
    text = str(getattr(error, "explanation", None) or error)
    try:
        return str(json.loads(text)["message"])
    except (ValueError, LookupError, TypeError):
        return text


def _hint(reason: str) -> str:
    """Say how to mend what Docker refuses, where that is known."""
    for refused, mend in _MENDS:
        if found := refused.search(reason):
            return f"\n  hint: {mend.format(**found.groupdict())}"
    return ""
