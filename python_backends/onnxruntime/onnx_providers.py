"""Where a graph runs: the execution providers that a configuration asks for, and this library has."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from tritonforge_runtime import LoadError, Parameters

__all__ = ["CPU", "Choice", "Provider", "choose"]

Provider = tuple[str, Mapping[str, str]]
"""An execution provider and its options, by ONNX Runtime's names."""

CPU: Provider = ("CPUExecutionProvider", {})
_CUDA = "CUDAExecutionProvider"
_ACCELERATORS = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": _CUDA,
    "openvino": "OpenVINOExecutionProvider",
}
_PACKAGES = {"openvino": "onnxruntime-openvino", "tensorrt": "onnxruntime-gpu and TensorRT"}

_TENSORRT = {
    "max_workspace_size_bytes": "trt_max_workspace_size",
    "int8_calibration_table_name": "trt_int8_calibration_table_name",
    "int8_use_native_calibration_table": "trt_int8_use_native_calibration_table",
}
"""Names of Triton's own; those that begin with `trt_` are ONNX Runtime's."""

_PRECISIONS: Mapping[str, dict[str, str]] = {
    "FP32": {},
    "FP16": {"trt_fp16_enable": "1"},
    "INT8": {"trt_int8_enable": "1"},
}

_CUDA_PARAMETERS: Mapping[str, Mapping[str, str]] = {
    "cudnn_conv_algo_search": {"0": "EXHAUSTIVE", "1": "HEURISTIC", "2": "DEFAULT"},
    "arena_extend_strategy": {"0": "kNextPowerOfTwo", "1": "kSameAsRequested"},
    "do_copy_in_default_stream": {},
    "gpu_mem_limit": {},
}
"""The older way to say options of CUDA, as parameters of the model: what each value is called by ONNX Runtime."""


class Choice(NamedTuple):
    """The providers in the order of preference, and what was asked for in vain."""

    chosen: tuple[Provider, ...]
    notices: tuple[str, ...]


def choose(fields: Mapping[str, Any], parameters: Parameters, available: Collection[str], *, gpu: int | None) -> Choice:
    """Choose as the native backend does: accelerators of the instance's kind first, CUDA on a GPU, and the CPU last.

    What the library doesn't have is left out, and told.

    Raises:
        LoadError: an accelerator or its parameter is none that the native backend has.
    """
    accelerators = fields.get("optimization", {}).get("execution_accelerators", {})
    options = _cuda_parameters(parameters)
    wanted: list[tuple[str, Mapping[str, str]]] = []
    notices = []
    for each in accelerators.get("gpu_execution_accelerator", ()):
        name, given = each["name"], each.get("parameters", {})
        if gpu is None:
            notices.append(f"gpu_execution_accelerator {name} is not used: this instance runs on the CPU")
        elif name == "cuda":
            options = {**given, **options}
        elif name == "tensorrt":
            wanted.append((name, {**_tensorrt(given), "device_id": str(gpu)}))
        else:
            raise LoadError(f"gpu_execution_accelerator is {name!r}; wanted tensorrt or cuda")
    if gpu is not None:
        wanted.append(("cuda", {**options, "device_id": str(gpu)}))
    for each in accelerators.get("cpu_execution_accelerator", ()):
        if each["name"] != "openvino":
            raise LoadError(f"cpu_execution_accelerator is {each['name']!r}; wanted openvino")
        wanted.append(("openvino", {"device_type": "CPU"}))
    notices += [_missing(name) for name, _ in wanted if _ACCELERATORS[name] not in available]
    chosen = [(_ACCELERATORS[name], given) for name, given in wanted if _ACCELERATORS[name] in available]
    return Choice((*chosen, CPU), tuple(notices))


def _missing(name: str) -> str:
    if name == "cuda":
        return "this onnxruntime has no CUDA: a GPU instance runs on the CPU; install onnxruntime-gpu"
    return f"execution accelerator {name} is not used: this onnxruntime has none; install {_PACKAGES[name]}"


def _tensorrt(given: Mapping[str, str]) -> dict[str, str]:
    options = {}
    for name, value in given.items():
        if name == "precision_mode":
            if value not in _PRECISIONS:
                raise LoadError(f"precision_mode is {value!r}; wanted {', '.join(_PRECISIONS)}")
            options.update(_PRECISIONS[value])
        elif name in _TENSORRT or name.startswith("trt_"):
            options[_TENSORRT.get(name, name)] = value
        else:
            raise LoadError(f'parameter "{name}" of the accelerator tensorrt is not known')
    return options


def _cuda_parameters(parameters: Parameters) -> dict[str, str]:
    options = {}
    for name, value in parameters.texts(_CUDA_PARAMETERS).items():
        values = _CUDA_PARAMETERS[name]
        if values and value not in values:
            wanted = ", ".join(f"{each} ({meaning})" for each, meaning in values.items())
            raise LoadError(f"{name} is {value!r}; wanted {wanted}")
        options[name] = values.get(value, value)
    return options
