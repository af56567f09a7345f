"""Settings of a model: all of Triton's ModelConfig, typed. Each is frozen, and refuses what Triton would."""

from tritonforge.define.settings.base import Setting
from tritonforge.define.settings.batching import Batching, QueuePolicy
from tritonforge.define.settings.instances import InstanceGroup, Instances, RateLimiter, Resource, SecondaryDevice
from tritonforge.define.settings.optimization import (
    Accelerator,
    Accelerators,
    Cuda,
    GraphLowerBound,
    GraphSpec,
    Optimization,
)
from tritonforge.define.settings.options import CommonArguments, OptionArguments, Options
from tritonforge.define.settings.sequences import (
    Control,
    ControlInput,
    Direct,
    InitialState,
    Oldest,
    SequenceBatching,
    State,
)
from tritonforge.define.settings.serving import Agent, Ensemble, EnsembleStep, MetricControl, VersionPolicy
from tritonforge.define.settings.tensors import BatchInput, BatchOutput, Tensor
from tritonforge.define.settings.warmup import Warmup, WarmupInput

__all__ = [
    "Accelerator",
    "Accelerators",
    "Agent",
    "BatchInput",
    "BatchOutput",
    "Batching",
    "CommonArguments",
    "Control",
    "ControlInput",
    "Cuda",
    "Direct",
    "Ensemble",
    "EnsembleStep",
    "GraphLowerBound",
    "GraphSpec",
    "InitialState",
    "InstanceGroup",
    "Instances",
    "MetricControl",
    "Oldest",
    "Optimization",
    "OptionArguments",
    "Options",
    "QueuePolicy",
    "RateLimiter",
    "Resource",
    "SecondaryDevice",
    "SequenceBatching",
    "Setting",
    "State",
    "Tensor",
    "VersionPolicy",
    "Warmup",
    "WarmupInput",
]
