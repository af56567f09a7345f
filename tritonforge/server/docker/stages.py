"""Images that Docker's classic builder leaves without a name: those of earlier stages, and of builds that didn't end.

A label of the earlier stages tells which process builds them, and where that is known, so that what a killed one left
is told from what is under way. Those of the last stage can't have it: no build would find another's steps in Docker's
cache. They are known by what is made of them, and by the earlier stages beside them, which stay until a build's end.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tritonforge.server.docker.names import LABEL
from tritonforge.server.docker.owners import has_ended, name_owner

if TYPE_CHECKING:
    from docker import DockerClient

__all__ = ["name_stage", "remove_interrupted", "remove_stage", "remove_unfinished", "sweep_stages"]

_STAGE, _KIND = f"{LABEL}.stage", f"{LABEL}.image"
_LONGEST_H = 24
"""No build takes longer: what is older is left over, whoever built it."""
_COMMAND = "tritonserver"
"""What the last step of our Dockerfiles has an image run."""
_STAGED = "slim"
"""The kind of our images that have earlier stages."""
_IMAGE = re.compile(r" ---> (?P<id>[0-9a-f]{12})")
_COPY = re.compile(r"Step \d+/\d+ : (?:COPY|ADD) ")
_CACHED = " ---> Using cache"
_ENDING_S, _LOOK_S, _RESTS = 15.0, 0.2, 4
"""How long Docker may take to end a build, how often that is looked at, and how often nothing must be found."""


def name_stage() -> str:
    """Give the label of a build of this process."""
    return f"{name_owner(os.getpid())}.{secrets.token_hex(8)}"


def remove_stage(client: DockerClient, stage: str) -> None:
    """Remove the images of a label that have no name."""
    client.images.prune({"dangling": True, "label": f"{_STAGE}={stage}"})


def remove_unfinished(client: DockerClient, stage: str, said: Sequence[str]) -> bool:
    """Remove what the steps of a build left that ended early; tell whether there was any. `said` are its lines.

    A step that was under way may have been done since. Beside another build, which may go on with an image that both
    have from Docker's cache, all is left to a sweep.
    """
    if _build(_stages(client) - {stage}):
        return False
    made, met = _images_in(said)
    found = False
    for row in _unnamed(client):
        ours = _KIND in (row["Labels"] or {}) and _short(row["ParentId"]) in met
        if ours or _short(row["Id"]) in made:
            found |= _remove_unfinished(client, row["Id"])
    return found


def remove_interrupted(client: DockerClient, stage: str, said: Sequence[str]) -> None:
    """Remove what a build leaves that was broken off: Docker ends it at its own time, and may finish a step before."""
    wanted: dict[str, Any] = {"label": f"{_STAGE}={stage}"}
    deadline = time.monotonic() + _ENDING_S
    while _is_copying(client, said) and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
    deadline, rests = time.monotonic() + _ENDING_S, 0
    while rests < _RESTS and time.monotonic() < deadline:
        remove_stage(client, stage)
        found = remove_unfinished(client, stage, said)
        left = client.images.list(filters={"dangling": True, **wanted}) or client.containers.list(
            all=True, ignore_removed=True, filters=wanted
        )
        rests = 0 if left or found else rests + 1
        time.sleep(_LOOK_S)


def _is_copying(client: DockerClient, said: Sequence[str]) -> bool:
    """Tell whether a copy may be under way, which Docker does to its end; the image before must stay for that long.

    Without that the image that it makes has no parent by which it would be known.
    """
    if not said or not _COPY.match(said[-1]):
        return False
    before = next((image["id"] for line in reversed(said) if (image := _IMAGE.fullmatch(line))), "")
    return all(_short(row["ParentId"]) != before for row in _unnamed(client))


def sweep_stages(client: DockerClient) -> None:
    """Remove what builds left that were killed."""
    from docker.errors import DockerException

    with suppress(DockerException):
        client.images.prune({"dangling": True, "label": _STAGE, "until": f"{_LONGEST_H}h"})
        stages = _stages(client)
        for stage in stages:
            if not _build({stage}):
                remove_stage(client, stage)
        # Earlier stages stay until the end of a build: where there are none, no last stage is under way either.
        idle, old = not _build(stages), time.time() - _LONGEST_H * 3600
        for row in _unnamed(client):
            kind = (row["Labels"] or {}).get(_KIND)
            if kind is not None and (row["Created"] < old or (idle and kind == _STAGED)):
                _remove_unfinished(client, row["Id"])


def _stages(client: DockerClient) -> set[str]:
    """List the labels of the earlier stages that are there."""
    wanted: dict[str, Any] = {"dangling": True, "label": _STAGE}
    return {str(image.labels.get(_STAGE, "")) for image in client.images.list(filters=wanted)}


def _build(stages: Iterable[str]) -> bool:
    """Tell whether any build of some labels may be under way: of another machine's nobody knows."""
    return any(not has_ended(stage.rpartition(".")[0]) for stage in stages)


def _unnamed(client: DockerClient) -> list[dict[str, Any]]:
    """List the images that have no name, and that no other is made of."""
    rows: list[dict[str, Any]] = client.api.images(filters={"dangling": True})
    return rows


def _images_in(said: Sequence[str]) -> tuple[set[str], set[str]]:
    """Give the images that a build tells to have made, and all that it tells of."""
    found = [(_IMAGE.fullmatch(line), before) for before, line in pairwise(said)]
    told = [(image["id"], before) for image, before in found if image]
    made = {name for name, before in told if before != _CACHED and " : FROM " not in before}
    return made, {name for name, _ in told}


def _remove_unfinished(client: DockerClient, name: str) -> bool:
    """Remove an image that lacks the last step, with those that it is made of; not one that is used."""
    from docker.errors import APIError

    with suppress(APIError):
        if (client.images.get(name).attrs["Config"].get("Cmd") or [""])[0] != _COMMAND:
            client.images.remove(name)
            return True
    return False


def _short(name: str) -> str:
    """Give an image's id as builds tell it."""
    return name.removeprefix("sha256:")[:12]
