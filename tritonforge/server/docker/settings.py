"""How a container is to run: its image, and what it gets of the machine."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from typing_extensions import Self

from tritonforge.server.errors import SettingsError
from tritonforge.server.settings.errors import explain

__all__ = ["DockerSettings", "check_image_name", "gpu_ids", "release_image"]

Bytes = Annotated[int, Field(gt=0, lt=1 << 63)]
"""What Docker takes for a size: 64 bits, with a sign."""
_LEAST_MEMORY = 6 << 20
"""What Docker gives a container at the least (20.10)."""
Cpus = Annotated[float, Field(ge=0.01, le=1e6, allow_inf_nan=False)]
"""Docker's least; more than any machine has is beyond its 64 bits of billionths."""

_DEVICE = "device="
_NO_GPU = re.compile("0+")

_USER = re.compile(r"[^:\s-][^:\s]*(?::[^:\s-][^:\s]*)?")
_GREATEST_ID = (1 << 31) - 1
"""Of users and groups, in a container."""

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::\d+)?"
_IMAGE = re.compile(rf"(?:{_HOST}/)?{_PART}(?:/{_PART})*(?::\w[\w.-]{{0,127}})?(?:@\w+:[0-9a-f]{{32,}})?", re.ASCII)

_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def release_image(release: str) -> str:
    """Name NVIDIA's image of a Triton release (`24.10`); it has all backends, and takes some 15 GB."""
    return f"nvcr.io/nvidia/tritonserver:{release}-py3"


def check_image_name(name: str, *, built: bool = False) -> None:
    """Check that Docker takes a text for an image's name; for one that is to be built it has no digest.

    Raises:
        ValueError: it doesn't.
    """
    if not _IMAGE.fullmatch(name) or (built and "@" in name):
        raise ValueError(f"found {name!r}: an image's name is lowercase, with a tag perhaps: team/fraud:1")


def gpu_ids(gpus: str) -> list[str]:
    """Give the ids that `gpus` names: `0,2`, or `device=2` for a single one; none where it is a number, or all."""
    if gpus.startswith(_DEVICE) or "," in gpus:
        return gpus.removeprefix(_DEVICE).split(",")
    return []


class DockerSettings(BaseModel):
    """How to run a container. Sizes are bytes, or text with a unit: `512m`, `2g`.

    Without an `image` it is NVIDIA's of the release that the repository was built for. `gpus` is `all`, a number from 1
    on, or ids (`0,2`, `device=2`); empty gives none. `shm_size` None is computed from the repository. `user` is
    `uid:gid`; without one it is one other than root that can read the repository, if there is one. An empty `image` or
    `user` is refused. By its `restart` policy Docker starts a server again that crashed; the end of the one who started
    it is the container's end all the same.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str = ""
    gpus: str = ""
    shm_size: Bytes | None = None
    memory: Bytes | None = None
    cpus: Cpus | None = None
    user: str = ""
    restart: Literal["no", "on-failure", "always", "unless-stopped"] = "no"
    pull: Literal["missing", "never", "always"] = "missing"

    @property
    def gpu_count(self) -> int:
        """How many GPUs are asked for; all of them count as one, since nobody knows here."""
        if self.gpus in {"", "all"}:
            return int(bool(self.gpus))
        return len(gpu_ids(self.gpus)) or int(self.gpus)

    @classmethod
    def load(cls, **given: Any) -> Self:
        """Read settings; None stands for what isn't given.

        Raises:
            SettingsError: values that can't be, each named.
        """
        try:
            return cls(**{name: value for name, value in given.items() if value is not None})
        except ValidationError as error:
            raise SettingsError(explain(error, {}, list(cls.model_fields))) from None

    @field_validator("shm_size", "memory", "cpus", mode="before")
    @classmethod
    def _no_switch(cls, value: Any) -> Any:
        """Refuse True, which would be read as 1."""
        if value is True or value is False:
            raise ValueError(f"found {value}: write how much")
        return value

    @field_validator("shm_size", "memory", mode="before")
    @classmethod
    def _size(cls, value: Any) -> Any:
        """Read 512m as bytes."""
        if not isinstance(value, str):
            return value
        found = re.fullmatch(r"(?P<number>\d+)(?P<unit>[bkmg]?)b?", value.strip().lower())
        if found is None:
            raise ValueError(f"found {value!r}: write bytes, or a number with k, m or g: 512m")
        return int(found["number"]) * _UNITS[found["unit"]]

    @field_validator("image")
    @classmethod
    def _a_name(cls, value: str) -> str:
        if not value:
            raise ValueError("it is empty; leave it out for NVIDIA's")
        check_image_name(value)
        return value

    @field_validator("memory")
    @classmethod
    def _enough(cls, value: int | None) -> int | None:
        if value is not None and value < _LEAST_MEMORY:
            raise ValueError(f"found {value} bytes: {_LEAST_MEMORY >> 20}m is Docker's least")
        return value

    @field_validator("user")
    @classmethod
    def _somebody(cls, value: str) -> str:
        if not value:
            raise ValueError("it is empty; leave it out for one that can read the repository")
        too_great = any(part.isdecimal() and int(part) > _GREATEST_ID for part in value.split(":"))
        if too_great or not _USER.fullmatch(value):
            raise ValueError(f"found {value!r}: write uid:gid, or names that the image has")
        return value

    @field_validator("gpus")
    @classmethod
    def _devices(cls, value: str) -> str:
        if _NO_GPU.fullmatch(value):
            raise ValueError(
                f"found {value!r}, a number of GPUs: leave it out for none, or write device=0 for the first"
            )
        if not re.fullmatch(r"(all|\d+(,\d+)*|device=[\w:-]+(,[\w:-]+)*)?", value):
            raise ValueError(f"found {value!r}: write all, a number of GPUs, or ids: 0,2, or device=2 for one")
        return value
