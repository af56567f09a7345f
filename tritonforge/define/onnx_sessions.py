"""ONNX Runtime's sessions of graphs that are run here, on a processor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["open_session"]

_FATAL = 4


def open_session(model: bytes | Path) -> onnxruntime.InferenceSession:
    """Open a session that writes nothing to stderr: what goes wrong is raised.

    Raises:
        ModuleNotFoundError: onnxruntime is not installed.
        Exception: one of ONNX Runtime's own classes, which have no common base: it can't load the graph.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL
    given = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
