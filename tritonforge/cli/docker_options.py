"""The options of `up` that are about containers."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tritonforge.server.docker_settings import DockerSettings

__all__ = ["Runtime", "read_docker_options"]


class Runtime(str, Enum):
    """What `up` runs a server as."""

    EMBEDDED = "embedded"
    DOCKER = "docker"


def read_docker_options(runtime: str, image: str | None, gpus: str | None, sets: list[str]) -> DockerSettings | None:
    """Read what containers get of the machine; None where no container is wished.

    Raises:
        BadParameter: they go with no container, are no pairs, or empty, as a script's variable may be.
        SettingsError: values that can't be.
    """
    if empty := [option for option, value in (("--image", image), ("--gpus", gpus)) if value == ""]:
        raise typer.BadParameter("it is empty; leave it out if none is meant", param_hint=empty[0])
    if runtime != "docker":
        if image or gpus or sets:
            hint = "--image, --gpus, --docker"
            raise typer.BadParameter("they are for containers: add --runtime docker", param_hint=hint)
        return None
    from tritonforge.server.docker_settings import DockerSettings

    if bare := [text for text in sets if "=" not in text]:
        raise typer.BadParameter(f"found {bare[0]}; write SETTING=VALUE", param_hint="--docker")
    pairs = dict(text.partition("=")[::2] for text in sets)
    if bare := [setting for setting, value in pairs.items() if not value]:
        raise typer.BadParameter("it is empty; leave it out if none is meant", param_hint=f"--docker {bare[0]}")
    return DockerSettings.load(**{**pairs, "image": image, "gpus": gpus})
