"""How a model is run: its instances, what is optimized, and what warms it up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tritonforge.ir.fields import mapped

__all__ = [
    "Accelerator",
    "Accelerators",
    "Cuda",
    "GraphLowerBound",
    "GraphSpec",
    "InstanceGroup",
    "InstanceKind",
    "Optimization",
    "Pairs",
    "RateLimiter",
    "Resource",
    "SecondaryDevice",
    "Warmup",
    "WarmupInput",
]

InstanceKind = Literal["KIND_AUTO", "KIND_GPU", "KIND_CPU", "KIND_MODEL"]
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of the rate limiter that an instance needs while it runs."""

    name: str
    count: int = 0
    is_global: bool = mapped(default=False, name="global")


@dataclass(frozen=True, slots=True)
class RateLimiter:
    """The `rate_limiter` of an instance group."""

    resources: tuple[Resource, ...] = ()
    priority: int = 0


@dataclass(frozen=True, slots=True)
class SecondaryDevice:
    """A `secondary_devices` entry."""

    kind: Literal["KIND_NVDLA"] = "KIND_NVDLA"
    device_id: int = 0


@dataclass(frozen=True, slots=True)
class InstanceGroup:
    """One `instance_group` entry: how many instances, on which kind of device."""

    kind: InstanceKind
    count: int
    gpus: tuple[int, ...] = ()
    name: str = ""
    rate_limiter: RateLimiter | None = None
    secondary_devices: tuple[SecondaryDevice, ...] = ()
    profiles: tuple[str, ...] = mapped((), name="profile")
    passive: bool = False
    host_policy: str = ""


@dataclass(frozen=True, slots=True)
class GraphLowerBound:
    """The `graph_lower_bound` of a CUDA graph: input shapes by name."""

    batch_size: int = 0
    inputs: tuple[tuple[str, tuple[int, ...]], ...] = mapped((), name="input", wraps="dim")


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """A `graph_spec`: a batch size and input shapes that a CUDA graph is captured for."""

    batch_size: int = 0
    inputs: tuple[tuple[str, tuple[int, ...]], ...] = mapped((), name="input", wraps="dim")
    lower_bound: GraphLowerBound | None = mapped(name="graph_lower_bound")


@dataclass(frozen=True, slots=True)
class Cuda:
    """The `cuda` settings of `optimization`."""

    graphs: bool = False
    busy_wait_events: bool = False
    graph_specs: tuple[GraphSpec, ...] = mapped((), name="graph_spec")
    output_copy_stream: bool = False


@dataclass(frozen=True, slots=True)
class Accelerator:
    """An execution accelerator, by name, and its parameters."""

    name: str
    parameters: Pairs = ()


@dataclass(frozen=True, slots=True)
class Accelerators:
    """The `execution_accelerators` of `optimization`."""

    gpu: tuple[Accelerator, ...] = mapped((), name="gpu_execution_accelerator")
    cpu: tuple[Accelerator, ...] = mapped((), name="cpu_execution_accelerator")


@dataclass(frozen=True, slots=True)
class Optimization:
    """The `optimization` group."""

    graph_level: int | None = mapped(name="graph", wraps="level")
    priority: Literal["PRIORITY_DEFAULT", "PRIORITY_MAX", "PRIORITY_MIN"] = "PRIORITY_DEFAULT"
    cuda: Cuda | None = None
    execution_accelerators: Accelerators | None = None
    input_pinned_memory: bool | None = mapped(wraps="enable")
    output_pinned_memory: bool | None = mapped(wraps="enable")
    gather_kernel_buffer_threshold: int = 0
    eager_batching: bool = False


@dataclass(frozen=True, slots=True)
class WarmupInput:
    """One input of a warm-up request: zeros, random values, or a file below the model's folder `warmup`."""

    data_type: str = "TYPE_INVALID"
    dims: tuple[int, ...] = ()
    zero_data: bool | None = None
    random_data: bool | None = None
    data_file: str | None = mapped(name="input_data_file")


@dataclass(frozen=True, slots=True)
class Warmup:
    """A `model_warmup` entry: a request that is run `count` times before the model is ready."""

    name: str = ""
    batch_size: int = 0
    inputs: tuple[tuple[str, WarmupInput], ...] = ()
    count: int = 0
