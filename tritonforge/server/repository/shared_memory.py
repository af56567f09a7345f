"""How much shared memory a repository's models take: each instance that runs in Python has a segment of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tritonforge import pbtxt
from tritonforge.dtypes import from_config
from tritonforge.errors import Diagnostic, Where
from tritonforge.ir import ModelConfig
from tritonforge.repository_files import read_text
from tritonforge.server.diagnosis.hints import SHARED_MEMORY_FULL
from tritonforge.server.errors import PreflightError
from tritonforge.server.repository.folder import model_folders

__all__ = ["SharedMemory", "beyond_memory", "choose_shared_memory", "explain_full", "needed_shared_memory", "size_text"]

_FLOOR = 64 << 20
"""Bytes: Docker's own default."""

_INSTANCE = 2 << 20
"""Bytes of one instance: the segment that it begins with (1 MiB), and that of the stub that completes its config."""

_LEAST = 1 << 20
"""Bytes without which an instance doesn't start (24.10)."""

_COPIES = 4
"""A batch's inputs and outputs are there at once, for the batch under way and for the next."""

_UNSAID_ON_CPU = {"onnxruntime": 2}
"""Instances that Triton (24.10) makes on the CPU where config.pbtxt doesn't say how many, by backend; of others one."""

_VARIABLE_DIM, _STRING_BYTES = 256, 64
"""What a variable dimension and a string count for."""


_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


@dataclass(frozen=True, slots=True)
class SharedMemory:
    """What /dev/shm should hold, and of how many Python instances that is made up.

    `computed` is what it should, where `size` is what the user gives it instead.
    """

    size: int
    instances: int
    computed: int = 0

    def __str__(self) -> str:
        return f"{size_text(self.size)} for {self._users}"

    @property
    def _users(self) -> str:
        return f"{self.instances} Python instance{'s'[: self.instances != 1]}"


def choose_shared_memory(needed: SharedMemory, size: int | None) -> SharedMemory:
    """Take the size that the user gives, if one is given, in place of what was computed.

    Raises:
        PreflightError: the instances can't start with so little.
    """
    if size is None:
        return needed
    least = needed.instances * _LEAST
    if size < least:
        message = f"found {size_text(size)}, and {needed._users} take {size_text(least)} of /dev/shm at least"
        hint = f"leave it out: {size_text(needed.size)} are computed of the repository"
        raise PreflightError([Diagnostic("TF510", Where(subject="shm_size"), message, hint)])
    return replace(needed, size=size, computed=needed.size)


def beyond_memory(memory: SharedMemory, machine: int) -> list[Diagnostic]:
    """Warn of a size that the machine's memory, of so many bytes, can't hold; 0 bytes are unknown."""
    if not 0 < machine < memory.size:
        return []
    message = f"{size_text(memory.size)} are more than Docker's machine has of memory, {size_text(machine)}"
    hint = "a limit alone takes none, but what fills it there is killed for want of memory: take less"
    return [Diagnostic("TF510", Where(subject="shm_size"), message, hint, severity="warning")]


def explain_full(found: Sequence[Diagnostic], memory: SharedMemory) -> list[Diagnostic]:
    """Put what failed to load in a container for want of shared memory into one diagnostic, with the setting for it."""
    full = [diagnostic for diagnostic in found if diagnostic.hint == SHARED_MEMORY_FULL]
    if not full:
        return list(found)
    models = ", ".join(diagnostic.where.subject for diagnostic in full)
    message = f"the container's /dev/shm, {size_text(memory.size)}, is full; failed to load: {models}"
    hint = f"give it more: --docker shm_size={2 * memory.size >> 20}m"
    if memory.computed > memory.size:
        hint = f"leave out --docker shm_size=…: {size_text(memory.computed)} are computed of the repository"
    return [*(each for each in found if each not in full), Diagnostic("TF510", Where(), message, hint)]


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


def size_text(size: int) -> str:
    """Write a size of bytes in the greatest unit of which it has one, from KiB on."""
    steps = min(max(1, (size.bit_length() - 1) // 10), len(_UNITS))
    return f"{size / (1 << 10 * steps):.4g} {_UNITS[steps - 1]}"


def _read(file: Path) -> ModelConfig | None:
    try:
        return pbtxt.parse(read_text(file))
    except (OSError, ValueError):
        return None


def _instances(config: ModelConfig, gpus: int) -> int:
    on_cpu = _UNSAID_ON_CPU.get(config.backend, 1)
    if not config.instance_groups:
        return gpus or on_cpu
    count = 0
    for group in config.instance_groups:
        on_gpus = group.kind == "KIND_GPU" or (group.kind == "KIND_AUTO" and gpus)
        unsaid = 1 if on_gpus or group.kind == "KIND_MODEL" else on_cpu
        count += (group.count or unsaid) * (len(group.gpus) or max(1, gpus) if on_gpus else 1)
    return count


def _batch_bytes(config: ModelConfig) -> int:
    """Estimate the bytes of all tensors of one full batch."""
    row = 0
    for tensor in (*config.inputs, *config.outputs):
        dtype = from_config(tensor.data_type)
        itemsize = (dtype.itemsize if dtype else 0) or _STRING_BYTES
        row += itemsize * math.prod(dim if dim >= 0 else _VARIABLE_DIM for dim in tensor.dims)
    return row * max(1, config.max_batch_size)
