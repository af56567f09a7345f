"""What a configuration says of how its graph runs, as the native backend reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import onnx_providers
from tritonforge_runtime import LoadError, Parameters, session_options

__all__ = ["Settings", "read_settings"]

_SESSION = (
    "intra_op_thread_count",
    "inter_op_thread_count",
    "execution_mode",
    "enable_mem_arena",
    "enable_mem_pattern",
)
_ALLOCATOR = "session.use_device_allocator_for_initializers"
_SHRINKAGE = "memory.enable_memory_arena_shrinkage"
_SHARED = "share_session_between_instances"


@dataclass(frozen=True, slots=True)
class Settings:
    """How a session is opened and run.

    `session` and `run` are options of ONNX Runtime's own (`run` is None where nothing is asked for), `providers` are in
    the order of preference, and `notices` say what was asked for in vain.
    """

    session: Any
    run: Any
    providers: tuple[onnx_providers.Provider, ...]
    notices: tuple[str, ...]


def read_settings(onnxruntime: Any, fields: Mapping[str, Any], *, gpu: int | None = None) -> Settings:
    """Read a model's configuration, for an instance on the CPU or on a GPU; the library is the caller's to import.

    Raises:
        LoadError: a parameter makes no sense, operators of a library can't be loaded, or the native backend has no such
            execution accelerator.
    """
    parameters = Parameters(fields)
    level = fields.get("optimization", {}).get("graph", {}).get("level", 0)
    # As natively, each instance has as many threads as there are cores; several on few cores want intra_op_thread_count
    # to be 1.
    session = session_options(onnxruntime, parameters.texts(_SESSION), level=level)
    for name, value in parameters.texts([_ALLOCATOR]).items():
        session.add_session_config_entry(name, value)
    for library in fields.get("model_operations", {}).get("op_library_filename", []):
        try:
            session.register_custom_ops_library(library)
        except Exception as error:  # ONNX Runtime's own exceptions have no common base
            raise LoadError(f"ONNX Runtime can't load the operators of {library}: {error}") from error
    run = None
    for name, value in parameters.texts([_SHRINKAGE]).items():
        run = onnxruntime.RunOptions()
        run.add_run_config_entry(name, value)
    providers = onnx_providers.choose(fields, parameters, onnxruntime.get_available_providers(), gpu=gpu)
    shared = parameters.flag(_SHARED)
    notices = [f"{_SHARED} does nothing: each instance is a process here, with a session of its own"] if shared else []
    return Settings(session, run, providers.chosen, (*notices, *providers.notices, *parameters.unread()))
