"""How ONNX Runtime runs a graph: the options that NVIDIA's backend reads from config.pbtxt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import LoadError
from .parameters import read_count, read_flag

__all__ = ["session_options"]

_LEVELS = {"-1": "ORT_ENABLE_BASIC", "1": "ORT_ENABLE_EXTENDED", "2": "ORT_DISABLE_ALL"}
"""`optimization { graph { level } }`; any other level, or none, enables all."""

_MODES = {"0": "ORT_SEQUENTIAL", "1": "ORT_PARALLEL"}


def session_options(onnxruntime: Any, parameters: Mapping[str, str], *, level: int = 0, threads: int = 0) -> Any:
    """Make the options of a session.

    Args:
        onnxruntime: the library, which is the caller's to import.
        parameters: those of the model.
        level: how far the graph is optimized.
        threads: those of one operator where the parameters don't say; 0 for as many as there are cores.

    Raises:
        LoadError: a parameter makes no sense.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = (
        read_count("intra_op_thread_count", parameters.get("intra_op_thread_count", "0")) or threads
    )
    options.inter_op_num_threads = read_count("inter_op_thread_count", parameters.get("inter_op_thread_count", "0"))
    mode = parameters.get("execution_mode", "0")
    if mode not in _MODES:
        raise LoadError(f"execution_mode is {mode!r}; wanted 0 (sequential) or 1 (parallel)")
    options.execution_mode = getattr(onnxruntime.ExecutionMode, _MODES[mode])
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = getattr(levels, _LEVELS.get(str(level), "ORT_ENABLE_ALL"))
    options.enable_cpu_mem_arena = read_flag("enable_mem_arena", parameters.get("enable_mem_arena", "1"))
    options.enable_mem_pattern = read_flag("enable_mem_pattern", parameters.get("enable_mem_pattern", "1"))
    # Threads that wait for work by spinning take the cores that the server needs to bring it.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options
