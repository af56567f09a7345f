"""ONNX models of a repository as `onnx(…)`, which runs here too, where that builds to an equal configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tritonforge import pbtxt
from tritonforge.build.typed_config import typed
from tritonforge.define import Batching
from tritonforge.define.origin import Origin
from tritonforge.define.weights import OnnxModel
from tritonforge.errors import DiagnosticError, Where
from tritonforge.ir import ModelConfig
from tritonforge.lower import lower_weights

__all__ = ["onnx_arguments"]

SAID_BY_THE_GRAPH = ("inputs", "outputs", "backend", "max_batch_size")


def onnx_arguments(file: Path, config: ModelConfig, output: Path) -> dict[str, Any] | None:
    """Give the arguments of `onnx(file, …)` that say a configuration; None where none do."""
    if config.backend != "onnxruntime" or not file.is_file():
        return None
    try:
        arguments = _arguments(config)
        equal = _built(file, config.name, arguments, output) == pbtxt.to_message(config)
    except (DiagnosticError, TypeError, ValueError):
        return None
    return arguments if equal else None


def _arguments(config: ModelConfig) -> dict[str, Any]:
    arguments = typed(config)
    if config.max_batch_size and "batching" not in arguments:
        arguments["batching"] = Batching(max_batch_size=config.max_batch_size, dynamic=False)
    return {name: value for name, value in arguments.items() if name not in SAID_BY_THE_GRAPH}


def _built(file: Path, name: str, arguments: dict[str, Any], output: Path) -> Any:
    """Build the configuration that the arguments give.

    Raises:
        DiagnosticError: the file can't be served so.
        TypeError: `onnx` has no such argument.
    """
    options: Any = {key: value for key, value in arguments.items() if key not in ("batching", "instances")}
    model = OnnxModel(
        file,
        origin=Origin(Where(str(output)), {}),
        name=name,
        batching=arguments.get("batching"),
        instances=arguments.get("instances"),
    )
    return pbtxt.to_message(lower_weights(model.configured(options)).config)
