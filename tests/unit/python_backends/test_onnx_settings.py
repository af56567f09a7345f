"""How a graph runs by its configuration: providers, options, and what is told to be without effect."""

from __future__ import annotations

from typing import Any

import onnx_providers
import onnx_settings
import onnxruntime
import pytest
from tritonforge_runtime import LoadError, Parameters

ALL = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "OpenVINOExecutionProvider", "CPUExecutionProvider")
HERE = ("CPUExecutionProvider",)
TENSORRT = {
    "name": "tensorrt",
    "parameters": {"precision_mode": "FP16", "max_workspace_size_bytes": "1024", "trt_engine_cache_enable": "1"},
}
TENSORRT_OPTIONS = {
    "trt_fp16_enable": "1",
    "trt_max_workspace_size": "1024",
    "trt_engine_cache_enable": "1",
    "device_id": "1",
}


def fields(*, gpu: tuple[Any, ...] = (), cpu: tuple[Any, ...] = (), **parameters: str) -> dict[str, Any]:
    """A configuration with execution accelerators and parameters."""
    accelerators = {"gpu_execution_accelerator": list(gpu), "cpu_execution_accelerator": list(cpu)}
    given = {name: {"string_value": value} for name, value in parameters.items()}
    return {"parameters": given, "optimization": {"execution_accelerators": accelerators}}


def choose(config: dict[str, Any], available: tuple[str, ...], *, gpu: int | None) -> onnx_providers.Choice:
    return onnx_providers.choose(config, Parameters(config), available, gpu=gpu)


@pytest.mark.parametrize(
    ("config", "gpu", "chosen"),
    [
        (fields(), None, []),
        (fields(), 1, [("CUDAExecutionProvider", {"device_id": "1"})]),
        (
            fields(gpu=(TENSORRT,)),
            1,
            [("TensorrtExecutionProvider", TENSORRT_OPTIONS), ("CUDAExecutionProvider", {"device_id": "1"})],
        ),
        (
            fields(gpu=({"name": "cuda", "parameters": {"gpu_mem_limit": "5", "cudnn_conv_use_max_workspace": "0"}},)),
            0,
            [
                (
                    "CUDAExecutionProvider",
                    {"gpu_mem_limit": "5", "cudnn_conv_use_max_workspace": "0", "device_id": "0"},
                )
            ],
        ),
        (
            fields(cudnn_conv_algo_search="1", arena_extend_strategy="1", gpu_mem_limit="7"),
            0,
            [
                (
                    "CUDAExecutionProvider",
                    {
                        "cudnn_conv_algo_search": "HEURISTIC",
                        "arena_extend_strategy": "kSameAsRequested",
                        "gpu_mem_limit": "7",
                        "device_id": "0",
                    },
                )
            ],
        ),
        (fields(cpu=({"name": "openvino"},)), None, [("OpenVINOExecutionProvider", {"device_type": "CPU"})]),
    ],
)
def test_providers_are_those_of_the_native_backend(config: dict[str, Any], gpu: int | None, chosen: list[Any]) -> None:
    assert choose(config, ALL, gpu=gpu) == ((*chosen, onnx_providers.CPU), ())


@pytest.mark.parametrize(
    ("config", "gpu", "told"),
    [
        (fields(), 0, "this onnxruntime has no CUDA: a GPU instance runs on the CPU"),
        (fields(cpu=({"name": "openvino"},)), None, "execution accelerator openvino is not used: this onnxruntime has"),
        (
            fields(gpu=(TENSORRT,)),
            None,
            "gpu_execution_accelerator tensorrt is not used: this instance runs on the CPU",
        ),
    ],
)
def test_what_the_library_lacks_is_left_out_and_told(config: dict[str, Any], gpu: int | None, told: str) -> None:
    found = choose(config, HERE, gpu=gpu)

    assert found.chosen == (onnx_providers.CPU,)
    (notice,) = found.notices
    assert notice.startswith(told)


@pytest.mark.parametrize(
    ("config", "gpu", "said"),
    [
        (fields(gpu=({"name": "gpu_io"},)), 0, "gpu_execution_accelerator is 'gpu_io'; wanted tensorrt or cuda"),
        (fields(cpu=({"name": "xnnpack"},)), None, "cpu_execution_accelerator is 'xnnpack'; wanted openvino"),
        (
            fields(gpu=({"name": "tensorrt", "parameters": {"precision_mode": "FP4"}},)),
            0,
            "precision_mode is 'FP4'; wanted FP32, FP16, INT8",
        ),
        (
            fields(gpu=({"name": "tensorrt", "parameters": {"speed": "1"}},)),
            0,
            'parameter "speed" of the accelerator tensorrt is not known',
        ),
        (fields(cudnn_conv_algo_search="9"), None, "cudnn_conv_algo_search is '9'; wanted 0"),
    ],
)
def test_what_the_native_backend_refuses_is_refused(config: dict[str, Any], gpu: int | None, said: str) -> None:
    with pytest.raises(LoadError, match=said):
        choose(config, ALL, gpu=gpu)


def test_options_of_session_and_run_reach_onnx_runtime() -> None:
    allocator, shrinkage = "session.use_device_allocator_for_initializers", "memory.enable_memory_arena_shrinkage"

    found = onnx_settings.read_settings(onnxruntime, fields(**{allocator: "1", shrinkage: "cpu:0"}))

    assert found.session.get_session_config_entry(allocator) == "1"
    assert found.run.get_run_config_entry(shrinkage) == "cpu:0"
    assert found.notices == ()
    assert onnx_settings.read_settings(onnxruntime, fields()).run is None


def test_parameters_without_effect_are_told() -> None:
    config = fields(share_session_between_instances="true", intra_op_threads="2", execution_mode="1")

    found = onnx_settings.read_settings(onnxruntime, config)

    assert found.notices == (
        "share_session_between_instances does nothing: each instance is a process here, with a session of its own",
        "parameter intra_op_threads is none that this backend has, and does nothing; did you mean "
        "intra_op_thread_count?",
    )


def test_a_library_of_operators_that_cannot_be_loaded_is_named() -> None:
    config = {**fields(), "model_operations": {"op_library_filename": ["/nowhere/ops.so"]}}

    with pytest.raises(LoadError, match=r"ONNX Runtime can't load the operators of /nowhere/ops\.so: "):
        onnx_settings.read_settings(onnxruntime, config)
