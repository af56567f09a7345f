"""Warnings: what Triton takes, but what is slow, has no effect, or fails under load."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tritonforge.check.finding import Found, warning
from tritonforge.check.model import Model
from tritonforge.pbtxt.document import enum_name

__all__ = ["CONTAINER_SHARED_MEMORY", "INSTANCE_SHARED_MEMORY", "advise", "check_shared_memory"]

CONTAINER_SHARED_MEMORY = 64 << 20
"""Bytes of /dev/shm in a container that Docker starts without --shm-size."""

INSTANCE_SHARED_MEMORY = 1 << 20
"""Bytes that each instance of a Python model takes of it at its start, by default."""


def advise(model: Model, *, cores: int) -> Iterator[Found]:
    """Warn of settings of one model; `cores` is what the machine has that serves it."""
    yield from _advise_batching(model)
    count = sum(_instances(model))
    if count > cores and model.config.backend not in ("", "tensorrt"):
        message = f"{count} instances on the CPU share {cores} core{'s'[: cores != 1]}"
        yield warning("TF693", "instance_group", message, "as many instances as cores, or fewer; measure")


def check_shared_memory(models: Iterable[Model]) -> Iterator[Found]:
    """Warn where all Python instances together need more of /dev/shm than a container gets."""
    instances = sum(sum(_instances(model)) for model in models if model.config.backend == "python")
    needed = instances * INSTANCE_SHARED_MEMORY
    if needed > CONTAINER_SHARED_MEMORY:
        message = f"{instances} instances of Python models need at least {needed >> 20} MiB of /dev/shm"
        hint = f"a container has {CONTAINER_SHARED_MEMORY >> 20} MiB by default: docker run --shm-size=1g"
        yield warning("TF694", "", message, hint)


def _advise_batching(model: Model) -> Iterator[Found]:
    config = model.config
    if not config.HasField("dynamic_batching"):
        return
    limit, batcher = config.max_batch_size, config.dynamic_batching
    if limit in (0, 1):
        message = f"dynamic_batching has no effect with max_batch_size: {limit}"
        yield warning("TF690", "dynamic_batching", message, "raise max_batch_size, or take dynamic_batching out")
    largest = max(batcher.preferred_batch_size, default=0)
    if 0 < largest < limit:
        message = f"batches are sent once {largest} requests wait: those up to max_batch_size, {limit}, hardly form"
        field = "dynamic_batching.preferred_batch_size"
        yield warning("TF692", field, message, f"leave it out, or add {limit}")


def _instances(model: Model) -> Iterator[int]:
    """Give the instances on the CPU of each group."""
    if model.is_ensemble:
        return
    if not model.config.instance_group:
        yield 1
    for group in model.config.instance_group:
        if enum_name(group, "kind") in ("KIND_CPU", "KIND_AUTO", "KIND_MODEL"):
            yield max(group.count, 1)
