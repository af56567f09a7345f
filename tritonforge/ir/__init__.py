"""The representation between definitions and a repository's files: frozen data, no I/O.

Three levels: signatures (what a model takes and gives), `ModelConfig` (what Triton is told of it), and `Repository`
(models, the files each needs, and the graph of each pipeline).
"""

from __future__ import annotations

from tritonforge.ir.config import Agent, MetricControl, ModelConfig, VersionPolicy
from tritonforge.ir.dimensions import NamedDim, shared_dims
from tritonforge.ir.execution import (
    Accelerator,
    Accelerators,
    Cuda,
    GraphLowerBound,
    GraphSpec,
    InstanceGroup,
    InstanceKind,
    Optimization,
    Pairs,
    RateLimiter,
    Resource,
    SecondaryDevice,
    Warmup,
    WarmupInput,
)
from tritonforge.ir.fields import Binding, bindings, mapped
from tritonforge.ir.padding import PaddedDim, PadValue
from tritonforge.ir.repository import (
    Code,
    File,
    Graph,
    InputRef,
    Model,
    Part,
    Reference,
    Repository,
    Shim,
    Step,
    StepRef,
)
from tritonforge.ir.scheduling import (
    Control,
    ControlInput,
    ControlKind,
    DirectStrategy,
    DynamicBatching,
    Ensemble,
    EnsembleStep,
    InitialState,
    OldestStrategy,
    QueuePolicy,
    SequenceBatching,
    State,
)
from tritonforge.ir.signatures import ANONYMOUS, Dim, Signature, TensorSpec
from tritonforge.ir.tensors import BatchInput, BatchInputKind, BatchOutput, Format, TensorConfig

__all__ = [
    "ANONYMOUS",
    "Accelerator",
    "Accelerators",
    "Agent",
    "BatchInput",
    "BatchInputKind",
    "BatchOutput",
    "Binding",
    "Code",
    "Control",
    "ControlInput",
    "ControlKind",
    "Cuda",
    "Dim",
    "DirectStrategy",
    "DynamicBatching",
    "Ensemble",
    "EnsembleStep",
    "File",
    "Format",
    "Graph",
    "GraphLowerBound",
    "GraphSpec",
    "InitialState",
    "InputRef",
    "InstanceGroup",
    "InstanceKind",
    "MetricControl",
    "Model",
    "ModelConfig",
    "NamedDim",
    "OldestStrategy",
    "Optimization",
    "PadValue",
    "PaddedDim",
    "Pairs",
    "Part",
    "QueuePolicy",
    "RateLimiter",
    "Reference",
    "Repository",
    "Resource",
    "SecondaryDevice",
    "SequenceBatching",
    "Shim",
    "Signature",
    "State",
    "Step",
    "StepRef",
    "TensorConfig",
    "TensorSpec",
    "VersionPolicy",
    "Warmup",
    "WarmupInput",
    "bindings",
    "mapped",
    "shared_dims",
]
