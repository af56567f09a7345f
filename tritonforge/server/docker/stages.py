"""Images of a build's earlier stages, which Docker's classic builder leaves without a name: whose they are.

Their label tells which process builds them, and where that is known, so that what a killed one left is told from what
is under way.
"""

from __future__ import annotations

import os
import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tritonforge.server.docker.container import LABEL
from tritonforge.server.docker.owners import has_ended, name_owner

if TYPE_CHECKING:
    from docker import DockerClient

__all__ = ["name_stage", "remove_interrupted", "remove_stage", "sweep_stages"]

_STAGE = f"{LABEL}.stage"
_LONGEST = "24h"
"""No build takes longer: what is older is left over, whoever built it."""
_ENDING_S, _LOOK_S, _RESTS = 15.0, 0.2, 4
"""How long Docker may take to end a build, how often that is looked at, and how often nothing must be found."""


def name_stage() -> str:
    """Give the label of a build of this process."""
    return f"{name_owner(os.getpid())}.{secrets.token_hex(8)}"


def remove_stage(client: DockerClient, stage: str) -> None:
    """Remove the images of a label that have no name."""
    client.images.prune({"dangling": True, "label": f"{_STAGE}={stage}"})


def remove_interrupted(client: DockerClient, stage: str) -> None:
    """Remove what a build leaves that was broken off: Docker ends it at its own time, and may finish a step before."""
    wanted: dict[str, Any] = {"label": f"{_STAGE}={stage}"}
    deadline, rests = time.monotonic() + _ENDING_S, 0
    while rests < _RESTS and time.monotonic() < deadline:
        remove_stage(client, stage)
        left = client.images.list(filters={"dangling": True, **wanted}) or client.containers.list(
            all=True, ignore_removed=True, filters=wanted
        )
        rests = 0 if left else rests + 1
        time.sleep(_LOOK_S)


def sweep_stages(client: DockerClient) -> None:
    """Remove what builds left that were killed."""
    from docker.errors import DockerException

    with suppress(DockerException):
        client.images.prune({"dangling": True, "label": _STAGE, "until": _LONGEST})
        wanted: dict[str, Any] = {"dangling": True, "label": _STAGE}
        for stage in {str(image.labels.get(_STAGE, "")) for image in client.images.list(filters=wanted)}:
            if has_ended(stage.rpartition(".")[0]):
                remove_stage(client, stage)
