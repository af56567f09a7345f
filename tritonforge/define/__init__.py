"""What users write: models, pipelines, weights, assets, and their settings."""

from tritonforge.define.annotations import Bytes, String
from tritonforge.define.base import Definition
from tritonforge.define.origin import asset
from tritonforge.define.pipelines import Pipeline, pipeline
from tritonforge.define.python_model import PythonModel, model
from tritonforge.define.served_errors import TritonError
from tritonforge.define.settings import Batching, Instances
from tritonforge.define.sklearn_model import sklearn
from tritonforge.define.torch_modules import torch_module
from tritonforge.define.torch_scripts import torchscript
from tritonforge.define.tracing import Traced
from tritonforge.define.weights import WeightsModel, onnx

__all__ = [
    "Batching",
    "Bytes",
    "Definition",
    "Instances",
    "Pipeline",
    "PythonModel",
    "String",
    "Traced",
    "TritonError",
    "WeightsModel",
    "asset",
    "model",
    "onnx",
    "pipeline",
    "sklearn",
    "torch_module",
    "torchscript",
]
