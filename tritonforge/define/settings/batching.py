"""How requests are put together: the dynamic batcher, its queue, and its priorities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from tritonforge import ir
from tritonforge.define.settings.base import Count, Microseconds, Setting

__all__ = ["Batching", "QueuePolicy"]


class QueuePolicy(Setting):
    """How long requests wait in a queue, and how many may."""

    record: ClassVar[type[Any]] = ir.QueuePolicy
    prefixes: ClassVar[Mapping[str, str]] = {"timeout_action": ""}

    timeout_action: Literal["reject", "delay"] = "reject"
    """What becomes of a request that has waited too long: it fails, or it is served after all others. Default: it
    fails."""
    default_timeout_us: Microseconds = 0
    """How long a request may wait, in microseconds. Default 0: for ever."""
    allow_timeout_override: bool = False
    """Whether a request may name a wait of its own, shorter than `default_timeout_us`. Default: no."""
    max_queue_size: Count = 0
    """How many requests may wait; more are refused. Default 0: any number."""

    @model_validator(mode="after")
    def _agrees(self) -> QueuePolicy:
        if self.allow_timeout_override and not self.default_timeout_us:
            raise ValueError(
                "allow_timeout_override needs a default_timeout_us: Triton (24.10) takes a request's own wait only "
                "where it is shorter than that"
            )
        return self


class Batching(Setting):
    """How requests are put together along the batch dimension.

    With `dynamic` (the default) the server's dynamic batcher joins waiting requests.
    """

    record: ClassVar[type[Any]] = ir.DynamicBatching

    max_batch_size: int = Field(default=64, ge=1, lt=2**31)
    """The largest number of rows in one execution, and in one request. Default: 64."""
    max_queue_delay_us: Microseconds = 0
    """How long the batcher waits for more requests, in microseconds. Default 0: it takes what is waiting."""
    preferred_batch_sizes: tuple[int, ...] = ()
    """Batch sizes at which the batcher stops waiting. Default: none, which is best for all but TensorRT's profiles."""
    dynamic: bool = True
    """Whether there is a dynamic batcher at all; without one each request is executed by itself. Default: yes."""
    preserve_ordering: bool = False
    """Whether responses come in the order of their requests. Default: no."""
    priority_levels: Microseconds = 0
    """How many priorities requests may have; 1 is the highest. Default 0: none."""
    default_priority_level: Microseconds = 0
    """The priority of a request that names none, 1 … priority_levels. Default: 0, with no priorities."""
    default_queue_policy: QueuePolicy | None = None
    """The queue of each priority that has no policy of its own. Default: requests wait for ever."""
    priority_queue_policies: Mapping[int, QueuePolicy] = {}
    """Queues by priority. Default: all have `default_queue_policy`."""

    @model_validator(mode="after")
    def _agrees(self) -> Batching:
        for size in self.preferred_batch_sizes:
            if not 1 <= size <= self.max_batch_size:
                raise ValueError(
                    f"a preferred batch size of {size} is outside 1 … max_batch_size ({self.max_batch_size})"
                )
        if not self.dynamic and (self.max_queue_delay_us or self.preferred_batch_sizes):
            raise ValueError("max_queue_delay_us and preferred_batch_sizes need dynamic=True")
        if not self.dynamic and (self.preserve_ordering or self.priority_levels or self.default_queue_policy):
            raise ValueError("preserve_ordering, priorities and queue policies need dynamic=True")
        self._check_priorities()
        return self

    def _check_priorities(self) -> None:
        levels = self.priority_levels
        if levels and not 1 <= self.default_priority_level <= levels:
            raise ValueError(
                f"default_priority_level is {self.default_priority_level}, outside 1 … priority_levels ({levels})"
            )
        if self.default_priority_level and not levels:
            raise ValueError("default_priority_level needs priority_levels")
        wrong = [level for level in self.priority_queue_policies if not 1 <= level <= levels]
        if wrong:
            raise ValueError(f"priority_queue_policies has level {wrong[0]}, outside 1 … priority_levels ({levels})")
        policies = [*self.priority_queue_policies.values(), *filter(None, [self.default_queue_policy])]
        if self.preserve_ordering and levels > 1:
            raise ValueError("preserve_ordering can't be kept with several priority_levels")
        if self.preserve_ordering and any(policy.timeout_action == "delay" for policy in policies):
            raise ValueError('preserve_ordering can\'t be kept with timeout_action="delay"')

    def lower(self) -> ir.DynamicBatching:
        """Make the record of the dynamic batcher."""
        names = type(self).model_fields.keys() - {"max_batch_size", "dynamic"}
        return ir.DynamicBatching(**{name: self._lowered(name, getattr(self, name)) for name in names})
