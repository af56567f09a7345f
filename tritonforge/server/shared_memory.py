"""How much shared memory a repository's models take: each instance that runs in Python has a segment of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tritonforge import pbtxt
from tritonforge.dtypes import from_config
from tritonforge.ir import ModelConfig
from tritonforge.server.repository import model_folders

__all__ = ["SharedMemory", "needed_shared_memory"]

_FLOOR = 64 << 20
"""Bytes: Docker's own default."""

_INSTANCE = 2 << 20
"""Bytes of one instance: the segment that it begins with (1 MiB), and that of the stub that completes its config."""

_COPIES = 4
"""A batch's inputs and outputs are there at once, for the batch under way and for the next."""

_VARIABLE_DIM, _STRING_BYTES = 256, 64
"""What a variable dimension and a string count for."""


@dataclass(frozen=True, slots=True)
class SharedMemory:
    """What /dev/shm should hold, and of how many Python instances that is made up."""

    size: int
    instances: int

    def __str__(self) -> str:
        return f"{self.size >> 20} MiB for {self.instances} Python instance{'s'[: self.instances != 1]}"


def needed_shared_memory(repository: Path, *, backends: Iterable[str], gpus: int = 0) -> SharedMemory:
    """Add up what the models of these backends take; a group on GPUs has its instances on each of them.

    A config.pbtxt that can't be read, or that the server completes itself, counts as one instance.
    """
    wanted, total, count = set(backends), 0, 0
    for folder in model_folders(repository):
        config = _read(folder / "config.pbtxt")
        if config is None:
            total, count = total + _INSTANCE, count + 1
        elif config.backend in wanted:
            instances = _instances(config, gpus)
            total += instances * (_INSTANCE + _COPIES * _batch_bytes(config))
            count += instances
    return SharedMemory(max(_FLOOR, -(-total >> 20) << 20), count)


def _read(file: Path) -> ModelConfig | None:
    try:
        return pbtxt.parse(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _instances(config: ModelConfig, gpus: int) -> int:
    groups = config.instance_groups
    if not groups:
        return max(1, gpus)
    return sum(
        max(1, group.count) * (len(group.gpus) or max(1, gpus) if group.kind in ("KIND_GPU", "KIND_AUTO") else 1)
        for group in groups
    )


def _batch_bytes(config: ModelConfig) -> int:
    """Estimate the bytes of all tensors of one full batch."""
    row = 0
    for tensor in (*config.inputs, *config.outputs):
        dtype = from_config(tensor.data_type)
        itemsize = (dtype.itemsize if dtype else 0) or _STRING_BYTES
        row += itemsize * math.prod(dim if dim >= 0 else _VARIABLE_DIM for dim in tensor.dims)
    return row * max(1, config.max_batch_size)
