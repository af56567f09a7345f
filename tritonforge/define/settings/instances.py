"""How many copies of a model run, and where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from tritonforge import ir
from tritonforge.define.settings.base import Count, Index, Setting

__all__ = ["InstanceGroup", "Instances", "RateLimiter", "Resource", "SecondaryDevice"]


class Instances(Setting):
    """How many copies of a model run: `cpu` on the processor, `gpu` on each GPU (of `gpus`, or of all).

    It is what `instances=` takes. `instance_groups=` takes groups that it can't say, and replaces it.
    """

    cpu: int = Field(default=0, ge=0, lt=2**31)
    """How many on the processor. Default: 0."""
    gpu: int = Field(default=0, ge=0, lt=2**31)
    """How many on each GPU. Default: 0."""
    gpus: tuple[int, ...] = ()
    """The numbers of the GPUs. Default: all."""

    @model_validator(mode="after")
    def _agrees(self) -> Instances:
        if not self.cpu and not self.gpu:
            raise ValueError("at least one instance is needed: Instances(cpu=1)")
        if self.gpus and not self.gpu:
            raise ValueError("gpus names GPUs, but gpu (instances on each) is 0")
        return self

    def groups(self) -> tuple[InstanceGroup, ...]:
        """Spell it as instance groups."""
        cpu = (InstanceGroup(kind="cpu", count=self.cpu),) if self.cpu else ()
        gpu = (InstanceGroup(kind="gpu", count=self.gpu, gpus=self.gpus),) if self.gpu else ()
        return cpu + gpu


class Resource(Setting):
    """What an instance must have while it runs.

    The server's setting `rate_limit_resources` says how much there is (tritonserver's `--rate-limit-resource`).
    """

    record: ClassVar[type[Any]] = ir.Resource

    name: str
    """The resource's name."""
    count: Count = 1
    """How much of it one execution needs. Default: 1."""
    is_global: bool = False
    """Whether all devices share it. Default: each device has its own."""


class RateLimiter(Setting):
    """When an instance may run.

    It counts where the server's setting `rate_limiter` is true, tritonserver's `--rate-limit=execution_count`.
    """

    record: ClassVar[type[Any]] = ir.RateLimiter

    resources: tuple[Resource, ...] = ()
    """What it needs. Default: nothing."""
    priority: Count = 0
    """The weight over instances of all models: one of 2 runs half as often as one of 1. Default: 0, which is 1."""


class SecondaryDevice(Setting):
    """A further device that an instance uses."""

    record: ClassVar[type[Any]] = ir.SecondaryDevice
    prefixes: ClassVar[Mapping[str, str]] = {"kind": "KIND_"}

    kind: Literal["nvdla"] = "nvdla"
    """The kind of device: an NVDLA core of a Jetson."""
    device_id: int = 0
    """Its number. Default: 0."""


class InstanceGroup(Setting):
    """Copies of a model on one kind of device.

    `instance_groups=` takes a list of them, where `instances=Instances(cpu=2)` doesn't say enough.
    """

    record: ClassVar[type[Any]] = ir.InstanceGroup
    prefixes: ClassVar[Mapping[str, str]] = {"kind": "KIND_"}

    kind: Literal["auto", "gpu", "cpu", "model"] = "auto"
    """Where: on GPUs if there are some (auto), on GPUs, on the processor, or where the model itself puts them."""
    count: Index = 1
    """How many, on each GPU. Default: 1."""
    gpus: tuple[Index, ...] = ()
    """The numbers of the GPUs. Default: all."""
    name: str = ""
    """A name for logs. Default: made of the model's."""
    rate_limiter: RateLimiter | None = None
    """What they need to run. Default: nothing."""
    secondary_devices: tuple[SecondaryDevice, ...] = ()
    """Further devices. Default: none."""
    profiles: tuple[str, ...] = ()
    """TensorRT's optimization profiles, by number. Default: the first."""
    passive: bool = False
    """Whether they are loaded but get no requests. Default: no."""
    host_policy: str = ""
    """The server's host policy (NUMA node, cores) for them. Default: the device's."""
