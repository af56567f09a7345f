"""tritonforge: typed Python model definitions, compiled into an NVIDIA Triton model repository.

Everything here is imported when it is first used, so that `import tritonforge` costs next to nothing.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tritonforge.define import (
        Accelerator,
        Accelerators,
        Agent,
        Batching,
        BatchInput,
        BatchOutput,
        Bytes,
        Control,
        ControlInput,
        Cuda,
        Direct,
        Ensemble,
        EnsembleStep,
        GraphLowerBound,
        GraphSpec,
        InitialState,
        Instance,
        InstanceGroup,
        Instances,
        MetricControl,
        Oldest,
        Optimization,
        QueuePolicy,
        RateLimiter,
        RequestParameters,
        Resource,
        SecondaryDevice,
        Sequence,
        SequenceBatching,
        State,
        String,
        Tensor,
        TritonError,
        VersionPolicy,
        Warmup,
        WarmupInput,
        asset,
        model,
        model_files,
        onnx,
        pipeline,
        sklearn,
        torch_module,
        torchscript,
    )

__all__ = [
    "Accelerator",
    "Accelerators",
    "Agent",
    "BatchInput",
    "BatchOutput",
    "Batching",
    "Bytes",
    "Control",
    "ControlInput",
    "Cuda",
    "Direct",
    "Ensemble",
    "EnsembleStep",
    "GraphLowerBound",
    "GraphSpec",
    "InitialState",
    "Instance",
    "InstanceGroup",
    "Instances",
    "MetricControl",
    "Oldest",
    "Optimization",
    "QueuePolicy",
    "RateLimiter",
    "RequestParameters",
    "Resource",
    "SecondaryDevice",
    "Sequence",
    "SequenceBatching",
    "State",
    "String",
    "Tensor",
    "TritonError",
    "VersionPolicy",
    "Warmup",
    "WarmupInput",
    "__version__",
    "asset",
    "model",
    "model_files",
    "onnx",
    "pipeline",
    "sklearn",
    "torch_module",
    "torchscript",
]

__version__ = "0.1.0"

# Whoever sets up logging hears of retries and the like; nobody else does, not even of a warning.
logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'tritonforge' has no attribute '{name}'")
    import tritonforge.define

    return getattr(tritonforge.define, name)


def __dir__() -> list[str]:
    return __all__
