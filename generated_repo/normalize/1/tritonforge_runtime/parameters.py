"""The `parameters` of config.pbtxt, as Triton's native backends read them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from .errors import LoadError

__all__ = ["Parameters", "read_count", "read_flag"]

_TRUE = frozenset({"1", "true", "on"})
_FALSE = frozenset({"0", "false", "off"})

_NOT_OURS = frozenset(
    {
        "EXECUTION_ENV_PATH",
        "FORCE_CPU_ONLY_INPUT_TENSORS",
        "TRITON_BATCH_STRATEGY_PATH",
        "tritonforge_files",
    }
)
"""What the server reads itself, and its Python backend, on which the stand-ins run; the last is the client's, which
has it tell apart configurations that come with other files."""


class Parameters:
    """A model's parameters by name; it remembers which were asked for."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._values = {name: value.get("string_value", "") for name, value in fields["parameters"].items()}
        self._known: dict[str, None] = {}

    def texts(self, names: Iterable[str]) -> dict[str, str]:
        """Give those of some parameters that are there, as they are written."""
        asked = dict.fromkeys(names)
        self._known |= asked
        return {name: self._values[name] for name in asked if name in self._values}

    def text(self, name: str, default: str = "") -> str:
        """Give a parameter as it is written."""
        return self.texts([name]).get(name, default)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Give a parameter that is on or off.

        Raises:
            LoadError: it is neither.
        """
        return read_flag(name, self.text(name, str(default)))

    def count(self, name: str) -> int:
        """Give a number of threads, or 0 for as many as there are cores.

        Raises:
            LoadError: it is no such number.
        """
        return read_count(name, self.text(name, "0"))

    def unread(self) -> list[str]:
        """Say of each parameter that nothing has asked for that it does nothing."""
        return [
            f"parameter {name} is none that this backend has, and does nothing{_guess(name, self._known)}"
            for name in self._values
            if name not in self._known and name not in _NOT_OURS
        ]


def read_flag(name: str, value: str) -> bool:
    """Read a parameter that is on or off.

    Raises:
        LoadError: it is neither.
    """
    if value.lower() not in _TRUE | _FALSE:
        raise LoadError(f"{name} is {value!r}; wanted true or false (or 1, 0, on, off)")
    return value.lower() in _TRUE


def read_count(name: str, value: str) -> int:
    """Read a number of threads, or 0 for as many as there are cores; so is -1, the default of NVIDIA's pytorch backend.

    Raises:
        LoadError: it is no such number.
    """
    if value != "-1" and not value.isdecimal():
        raise LoadError(f"{name} is {value!r}; wanted a number of threads, or 0 for as many as there are cores")
    return max(0, int(value))


def _guess(name: str, known: Collection[str]) -> str:
    spelled = {each.lower(): each for each in known}
    close = get_close_matches(name.lower(), spelled, n=1)
    return f"; did you mean {spelled[close[0]]}?" if close else ""
