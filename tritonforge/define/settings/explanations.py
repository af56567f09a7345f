"""What is wrong with a setting, in words for whoever wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

__all__ = ["WHERE_TOLD", "explain"]

WHERE_TOLD = 'the page "Settings" of the documentation (in its source, docs/reference/config.md) says what each takes'
"""A hint, where no other is known."""

_INTERNAL = "'INVALID'"
"""A data type that stands for none."""

_LONGEST = 60


def explain(error: ValidationError) -> list[str]:
    """Say what is wrong with each value of a setting, by its name, without pydantic's dump and links."""
    return [_fault(fault, error.title) for fault in error.errors()]


def _fault(fault: Mapping[str, Any], title: str) -> str:
    place = ".".join(map(str, (title, *fault["loc"]))).removeprefix("Options.")
    kind, message = fault["type"], fault["msg"].removeprefix("Value error, ")
    if kind == "value_error":
        return f"{place}: {message}"
    if kind == "extra_forbidden":
        return f"{place}: there is no such setting"
    if kind == "literal_error":
        allowed = [word for word in fault["ctx"]["expected"].replace(" or ", ", ").split(", ") if word != _INTERNAL]
        message = f"it is one of {', '.join(allowed)}"
    if kind == "tuple_type":
        name = next((one for one in reversed(fault["loc"]) if isinstance(one, str)), "")
        message = f"it takes a list; write {name}=[{_short(fault['input'])}]"
    return f"{place}: found {_short(fault['input'])}: {message}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
