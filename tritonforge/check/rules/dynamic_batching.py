"""The dynamic batcher: preferred sizes, priorities, ordering, queue policies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tritonforge.check.finding import Found, error, warning
from tritonforge.check.model import Model
from tritonforge.pbtxt.document import enum_name

__all__ = ["check_dynamic_batching", "check_preferred_sizes"]


def check_dynamic_batching(model: Model) -> Iterator[Found]:
    """Check the dynamic batcher's settings."""
    if not model.config.HasField("dynamic_batching"):
        return
    batcher = model.config.dynamic_batching
    yield from check_preferred_sizes("TF630", "dynamic_batching", batcher.preferred_batch_size, model)
    yield from _check_priorities(batcher)
    if batcher.preserve_ordering:
        yield from _check_ordering(batcher)
    yield from _check_wakes(batcher)


def check_preferred_sizes(code: str, path: str, sizes: Iterable[int], model: Model) -> Iterator[Found]:
    """Check that preferred batch sizes are sizes that a batch can have."""
    limit = model.config.max_batch_size
    for number, size in enumerate(sizes):
        field = f"{path}.preferred_batch_size[{number}]"
        if size <= 0:
            yield error(code, field, f"a preferred batch size is 1 or more; found {size}", f"1 to {max(limit, 1)}")
        elif size > limit:
            message = f"the preferred batch size {size} is above max_batch_size, which is {limit}"
            yield error(code, field, message, "raise max_batch_size, or take the size out")


def _check_priorities(batcher: Any) -> Iterator[Found]:
    levels = batcher.priority_levels
    if not levels:
        return
    if not 1 <= batcher.default_priority_level <= levels:
        message = f"default_priority_level is {batcher.default_priority_level}; it must be 1 to {levels}"
        field = "dynamic_batching.default_priority_level"
        yield error("TF631", field, message, "the level of requests that name none; 1 is the most urgent")
    for level in sorted(batcher.priority_queue_policy):
        if not 1 <= level <= levels:
            field = f'dynamic_batching.priority_queue_policy["{level}"]'
            message = f"there is no priority level {level}; the levels are 1 to {levels}"
            yield error("TF631", field, message, "raise priority_levels, or take the policy out")


def _check_wakes(batcher: Any) -> Iterator[Found]:
    """Warn of what keeps the batcher from fetching requests ahead: then it is at times not told that a model is free.

    Seen with 24.10; Triton's issue 8870 has one of the causes.
    """
    for path, policy in _policies(batcher):
        limits = policy.max_queue_size or policy.default_timeout_microseconds or policy.allow_timeout_override
        if batcher.priority_levels or limits:
            field = "dynamic_batching.priority_levels" if batcher.priority_levels else path
            message = "with priorities or queue limits, requests at times wait up to 0.5 s for an idle model (24.10)"
            hint = "leave them out where latency matters; a timeout that rejects needs well above 500 ms"
            yield warning("TF633", field, message, hint)
            return


def _policies(batcher: Any) -> Iterator[tuple[str, Any]]:
    yield "dynamic_batching.default_queue_policy", batcher.default_queue_policy
    for level, policy in sorted(batcher.priority_queue_policy.items()):
        yield f'dynamic_batching.priority_queue_policy["{level}"]', policy


def _check_ordering(batcher: Any) -> Iterator[Found]:
    if batcher.priority_levels > 1:
        message = f"preserve_ordering excludes several priority levels; found {batcher.priority_levels}"
        yield error("TF632", "dynamic_batching.preserve_ordering", message, "take one of the two out")
    for path, policy in _policies(batcher):
        if policy.default_timeout_microseconds and enum_name(policy, "timeout_action") == "DELAY":
            message = "preserve_ordering excludes the timeout action DELAY, which lets later requests pass"
            yield error("TF632", f"{path}.timeout_action", message, "timeout_action: REJECT")
