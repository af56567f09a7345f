"""The options of `up` that are about containers."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tritonforge.server.docker.settings import DockerSettings

__all__ = ["TWICE", "Runtime", "filled", "filled_path", "read_docker_options"]

_EMPTY = "it is empty; leave it out if none is meant"
TWICE = "it is given twice; leave one of them out"


class Runtime(str, Enum):
    """What `up` runs a server as."""

    EMBEDDED = "embedded"
    DOCKER = "docker"


def filled(text: str) -> str:
    """Take an option's text, unless it is empty, as a script's variable may be."""
    if not text:
        raise typer.BadParameter(_EMPTY)
    return text


def filled_path(text: str) -> Path:
    """Take an option's path, unless it is empty: that would be the working directory."""
    return Path(filled(text))


def read_docker_options(runtime: str, image: str | None, gpus: str | None, sets: list[str]) -> DockerSettings | None:
    """Read what containers get of the machine; None where no container is wished.

    Raises:
        BadParameter: they go with no container, are no pairs, or empty, as a script's variable may be.
        SettingsError: values that can't be.
    """
    if empty := [option for option, value in (("--image", image), ("--gpus", gpus)) if value == ""]:
        raise typer.BadParameter(_EMPTY, param_hint=empty[0])
    if runtime != "docker":
        if image or gpus or sets:
            hint = "--image, --gpus, --docker"
            raise typer.BadParameter("they are for containers: add --runtime docker", param_hint=hint)
        return None
    from tritonforge.server.docker.settings import DockerSettings

    if bare := [text for text in sets if "=" not in text]:
        raise typer.BadParameter(f"found {bare[0]}; write SETTING=VALUE", param_hint="--docker")
    settings = [text.partition("=")[0] for text in sets]
    if twice := [setting for setting in settings if settings.count(setting) > 1]:
        raise typer.BadParameter(TWICE, param_hint=f"--docker {twice[0]}")
    pairs = dict(text.partition("=")[::2] for text in sets)
    if bare := [setting for setting, value in pairs.items() if not value]:
        raise typer.BadParameter(_EMPTY, param_hint=f"--docker {bare[0]}")
    return DockerSettings.load(**{**pairs, "image": image, "gpus": gpus})
