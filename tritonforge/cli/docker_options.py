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
        SettingsError: values that can't be.
    """
    if runtime != "docker":
        if image or gpus or sets:
            hint = "--image, --gpus, --docker"
            raise typer.BadParameter("they are for containers: add --runtime docker", param_hint=hint)
        return None
    from tritonforge.server.docker_settings import DockerSettings

    if bare := [text for text in sets if "=" not in text]:
        raise typer.BadParameter(f"found {bare[0]}; write SETTING=VALUE", param_hint="--docker")
    pairs = dict(text.partition("=")[::2] for text in sets)
    return DockerSettings.load(**{**pairs, "image": image, "gpus": gpus})
