"""What users write: models, pipelines, weights, assets, and their settings."""

from tritonforge.define.annotations import Bytes, String
from tritonforge.define.base import Definition
from tritonforge.define.instance import Instance
from tritonforge.define.model_folder import ModelFiles, model_files
from tritonforge.define.origin import asset
from tritonforge.define.pipelines import Pipeline, pipeline
from tritonforge.define.python_model import PythonModel, model
from tritonforge.define.request_parameters import RequestParameters
from tritonforge.define.sequences import Sequence
from tritonforge.define.served_errors import TritonError
from tritonforge.define.settings import (
    Accelerator,
    Accelerators,
    Agent,
    Batching,
    BatchInput,
    BatchOutput,
    Control,
    ControlInput,
    Cuda,
    Direct,
    Ensemble,
    EnsembleStep,
    GraphLowerBound,
    GraphSpec,
    InitialState,
    InstanceGroup,
    Instances,
    MetricControl,
    Oldest,
    Optimization,
    Options,
    QueuePolicy,
    RateLimiter,
    Resource,
    SecondaryDevice,
    SequenceBatching,
    State,
    Tensor,
    VersionPolicy,
    Warmup,
    WarmupInput,
)
from tritonforge.define.sklearn_model import sklearn
from tritonforge.define.torch_modules import torch_module
from tritonforge.define.torch_scripts import torchscript
from tritonforge.define.weights import WeightsModel, onnx

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
    "Definition",
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
    "ModelFiles",
    "Oldest",
    "Optimization",
    "Options",
    "Pipeline",
    "PythonModel",
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
    "WeightsModel",
    "asset",
    "model",
    "model_files",
    "onnx",
    "pipeline",
    "sklearn",
    "torch_module",
    "torchscript",
]
