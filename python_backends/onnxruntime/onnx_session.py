"""An ONNX Runtime session with the options that the native backend reads from config.pbtxt."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx_config
from tritonforge_runtime import Loaded, LoadError, ModelSpec, parse_ragged, with_states

__all__ = ["find_model", "load", "open_session"]

onnxruntime: Any = importlib.import_module("onnxruntime")  # to a type checker the plain import is this very folder

_LEVELS = {
    "-1": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "1": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "2": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
}
"""`optimization { graph { level } }`; any other level, or none, enables all."""

_MODES = {"0": onnxruntime.ExecutionMode.ORT_SEQUENTIAL, "1": onnxruntime.ExecutionMode.ORT_PARALLEL}


def load(spec: ModelSpec, args: Mapping[str, str]) -> Loaded:
    """Open the session of one instance.

    Raises:
        LoadError: the file is missing, a parameter makes no sense, or the graph isn't what the configuration says.
    """
    fields = json.loads(args["model_config"])
    path = find_model(f"{args['model_repository']}/{args['model_version']}", fields)
    gpu = int(args["model_instance_device_id"]) if args["model_instance_kind"] == "GPU" else None
    session = open_session(path, fields, gpu=gpu)
    ragged = parse_ragged(args["model_config"]) if spec.batched else None
    seen = with_states(spec, ragged)
    onnx_config.check(seen, session, ragged)
    # ONNX Runtime takes strings as `str` alone: it would read the repr of `bytes`.
    strings = [tensor.name for tensor in seen.inputs if tensor.datatype == "BYTES"]
    return Loaded(_runner(seen, session), text=strings, ragged=ragged, stateful=seen is not spec)


def find_model(folder: str, fields: Mapping[str, Any]) -> Path:
    """Find the model's file in a version's folder; a folder of its name holds `model.onnx` and its external data.

    Raises:
        LoadError: it isn't there.
    """
    path = Path(folder) / (fields["default_model_filename"] or "model.onnx")
    path = path / "model.onnx" if path.is_dir() else path
    if not path.is_file():
        raise LoadError(f"unable to find {path}")
    return path


def open_session(path: Path, fields: Mapping[str, Any], *, gpu: int | None = None) -> Any:
    """Open a session on the CPU or on a GPU.

    Raises:
        LoadError: a parameter makes no sense, or ONNX Runtime refuses the file.
    """
    try:
        return onnxruntime.InferenceSession(str(path), _options(fields), providers=_providers(gpu))
    except LoadError:
        raise
    except Exception as error:  # ONNX Runtime's own exceptions have no common base
        raise LoadError(f"ONNX Runtime can't load {path}: {error}") from error


def _options(fields: Mapping[str, Any]) -> Any:
    parameters = {name: value["string_value"] for name, value in fields["parameters"].items()}
    options = onnxruntime.SessionOptions()
    # 0, as natively: as many threads as the machine has cores, for each instance. Several instances on few cores want
    # intra_op_thread_count 1.
    options.intra_op_num_threads = _number(parameters, "intra_op_thread_count")
    options.inter_op_num_threads = _number(parameters, "inter_op_thread_count")
    mode = parameters.get("execution_mode", "0")
    if mode not in _MODES:
        raise LoadError(f"execution_mode is {mode!r}; wanted 0 (sequential) or 1 (parallel)")
    options.execution_mode = _MODES[mode]
    level = str(fields.get("optimization", {}).get("graph", {}).get("level", 0))
    options.graph_optimization_level = _LEVELS.get(level, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL)
    options.enable_cpu_mem_arena = _flag(parameters, "enable_mem_arena")
    options.enable_mem_pattern = _flag(parameters, "enable_mem_pattern")
    for library in fields.get("model_operations", {}).get("op_library_filename", []):
        options.register_custom_ops_library(library)
    return options


def _number(parameters: Mapping[str, str], name: str) -> int:
    value = parameters.get(name, "0")
    if not value.isdecimal():
        raise LoadError(f"{name} is {value!r}; wanted a number of threads, or 0 for as many as there are cores")
    return int(value)


def _flag(parameters: Mapping[str, str], name: str) -> bool:
    value = parameters.get(name, "1").lower()
    if value not in ("0", "1", "false", "true"):
        raise LoadError(f"{name} is {value!r}; wanted 0 or 1")
    return value in ("1", "true")


def _providers(gpu: int | None) -> list[Any]:
    cuda = "CUDAExecutionProvider"
    if gpu is None:
        return ["CPUExecutionProvider"]
    if cuda not in onnxruntime.get_available_providers():
        sys.stderr.write("this onnxruntime has no CUDA: a GPU instance runs on the CPU; install onnxruntime-gpu\n")
        return ["CPUExecutionProvider"]
    return [(cuda, {"device_id": gpu}), "CPUExecutionProvider"]


def _runner(spec: ModelSpec, session: Any) -> Callable[..., Any]:
    """Make the function from inputs to the tuple of outputs."""
    names = [tensor.name for tensor in spec.outputs]
    optional = any(tensor.optional for tensor in spec.inputs)
    scalars = {node.name for node in session.get_outputs() if node.shape == []} if not spec.batched else set()

    def run(**inputs: Any) -> tuple[Any, ...]:
        if optional:  # one that isn't given keeps the value that the graph has for it
            inputs = {name: array for name, array in inputs.items() if array is not None}
        return tuple(session.run(names, inputs))

    def run_with_scalars(**inputs: Any) -> tuple[Any, ...]:
        results = zip(names, run(**inputs), strict=True)
        return tuple(np.reshape(result, 1) if name in scalars else result for name, result in results)

    return run_with_scalars if scalars else run
