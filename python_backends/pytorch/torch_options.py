"""The parameters of config.pbtxt that the native backend reads, set in this process: it serves one instance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from tritonforge_runtime import Parameters

__all__ = ["Options", "set_options"]

native: Any = torch._C  # where TorchScript's settings are, without types

_JIT = {
    "ENABLE_JIT_EXECUTOR": "_jit_set_profiling_executor",
    "ENABLE_JIT_PROFILING": "_jit_set_profiling_mode",
    "ENABLE_TENSOR_FUSER": "_jit_set_texpr_fuser_enabled",
}
"""The functions that set what a parameter says; without the parameter, torch's own default stays."""

_WITHOUT_EFFECT = {
    "ENABLE_NVFUSER": "NVFuser is no part of torch any more",
    "ENABLE_WEIGHT_SHARING": "each instance is a process here, with weights of its own",
}


@dataclass(frozen=True, slots=True)
class Options:
    """How a module is called: within `mode`, `optimized` or not; `cleans` says that CUDA's cache is emptied after it.

    `notices` say which parameters have no effect.
    """

    mode: Callable[[], AbstractContextManager[Any]]
    optimized: bool
    cleans: bool
    notices: tuple[str, ...]


def set_options(fields: Mapping[str, Any]) -> Options:
    """Read a model's parameters, and set those that hold for the whole process.

    Raises:
        LoadError: one makes no sense.
    """
    parameters = Parameters(fields)
    _set_threads(parameters)
    torch.backends.cudnn.enabled = not parameters.flag("DISABLE_CUDNN")
    notices = []
    for name, setter in _JIT.items():
        enabled = parameters.flag(name)
        if not parameters.texts([name]):
            continue
        if hasattr(native, setter):
            getattr(native, setter)(enabled)
        else:
            notices.append(f"{name} has no effect: torch {torch.__version__} has no such setting")
    notices += [f"{name} has no effect: {why}" for name, why in _WITHOUT_EFFECT.items() if parameters.flag(name)]
    return Options(
        torch.inference_mode if parameters.flag("INFERENCE_MODE", default=True) else torch.no_grad,
        optimized=not parameters.flag("DISABLE_OPTIMIZED_EXECUTION"),
        cleans=parameters.flag("ENABLE_CACHE_CLEANING"),
        notices=(*notices, *parameters.unread()),
    )


def _set_threads(parameters: Parameters) -> None:
    """Set the process's thread counts; by default torch takes all cores, as natively."""
    for name, set_threads in (
        ("INTRA_OP_THREAD_COUNT", torch.set_num_threads),
        ("INTER_OP_THREAD_COUNT", torch.set_num_interop_threads),
    ):
        threads = parameters.count(name)
        if threads > 0:
            set_threads(threads)
