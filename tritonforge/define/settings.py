"""Settings of a model that its definition gives: how it is batched, and how many instances run."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["Batching", "Instances"]


class Batching(BaseModel):
    """How requests are put together along the batch dimension.

    `max_batch_size` is the largest number of rows in one execution (and in one request). With `dynamic` (the default)
    the server's dynamic batcher joins waiting requests; it waits up to `max_queue_delay_us` microseconds for more of
    them (0: it takes what is waiting), and stops at once at one of `preferred_batch_sizes`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_batch_size: int = Field(default=64, ge=1)
    max_queue_delay_us: int = Field(default=0, ge=0)
    preferred_batch_sizes: tuple[int, ...] = ()
    dynamic: bool = True

    @model_validator(mode="after")
    def _agrees(self) -> Batching:
        for size in self.preferred_batch_sizes:
            if not 1 <= size <= self.max_batch_size:
                raise ValueError(
                    f"a preferred batch size of {size} is outside 1 … max_batch_size ({self.max_batch_size})"
                )
        if not self.dynamic and (self.max_queue_delay_us or self.preferred_batch_sizes):
            raise ValueError("max_queue_delay_us and preferred_batch_sizes need dynamic=True")
        return self


class Instances(BaseModel):
    """How many copies of a model run: `cpu` on the processor, `gpu` on each GPU (of `gpus`, or of all)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu: int = Field(default=0, ge=0)
    gpu: int = Field(default=0, ge=0)
    gpus: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _agrees(self) -> Instances:
        if not self.cpu and not self.gpu:
            raise ValueError("at least one instance is needed: Instances(cpu=1)")
        if self.gpus and not self.gpu:
            raise ValueError("gpus names GPUs, but gpu (instances on each) is 0")
        return self
