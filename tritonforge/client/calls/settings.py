"""The settings of a server's traces and of its log: what can be changed while it runs, and to what.

Triton (24.10) passes over names that it doesn't know, and over some values, without a word.
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_trace.md and extension_logging.md
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tritonforge.client.tensors.arguments import kind_of

__all__ = ["Setting", "log_changes", "trace_changes"]

Setting = str | int | bool | list[str] | None
"""What a setting can be."""

_OF_TRACES = ("trace_level", "trace_rate", "trace_count", "log_frequency", "trace_file", "trace_mode")
_LEVELS = ("OFF", "TIMESTAMPS", "TENSORS", "MIN", "MAX")
_OF_LOG: dict[str, type[Any]] = {
    "log_file": str,
    "log_info": bool,
    "log_warning": bool,
    "log_error": bool,
    "log_verbose_level": int,
    "log_format": str,
}
_FORMATS = ("default", "ISO8601")
_COUNTS = ("trace_rate", "log_frequency")
_MOST = (1 << 32) - 1  # Triton has 32 bits for it, and passes over what is left


def trace_changes(changes: Mapping[str, Setting]) -> dict[str, Setting]:
    """Word changes of the traces' settings as Triton takes them: lists and texts, and null for what it started with.

    Raise ValueError for a name or a level that there isn't, TypeError for what is no mapping.
    """
    _require_known("trace_settings", changes, _OF_TRACES)
    worded: dict[str, Setting] = {
        name: value if isinstance(value, list) or value is None else str(value) for name, value in changes.items()
    }
    for name in _COUNTS:
        number = changes.get(name)
        if isinstance(number, int) and not 0 <= number <= _MOST:
            raise ValueError(f"{name} is {number}; it is a number of requests from 0 to {_MOST}")
    level = worded.get("trace_level")
    if isinstance(level, str):
        worded["trace_level"] = level = [level]
    for one in level if isinstance(level, list) else ():
        if one not in _LEVELS:
            raise ValueError(f"trace_level has {one!r}; it may have {', '.join(_LEVELS)}")
    return worded


def log_changes(changes: Mapping[str, Setting]) -> dict[str, Setting]:
    """Check changes of the log's settings. Raise ValueError for a name or format that there isn't, else TypeError."""
    _require_known("log_settings", changes, tuple(_OF_LOG))
    for name, value in changes.items():
        wanted = _OF_LOG[name]
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            raise TypeError(f"{name} is {kind_of(value)}; it takes {wanted.__name__}")
        if isinstance(value, int) and not 0 <= value <= _MOST:
            raise ValueError(f"{name} is {value}; it is a number from 0 to {_MOST}")
    if changes.get("log_format", "default") not in _FORMATS:
        raise ValueError(f"log_format is {changes['log_format']!r}; it may be {' or '.join(_FORMATS)}")
    return dict(changes)


def _require_known(method: str, changes: Mapping[str, Setting], known: tuple[str, ...]) -> None:
    if not isinstance(changes, Mapping):
        raise TypeError(f"{method} takes a mapping of changes, not {kind_of(changes)}")
    unknown = next((name for name in changes if name not in known), None)
    if unknown is not None:
        raise ValueError(f"there is no setting {unknown!r}; there are: {', '.join(known)}")
