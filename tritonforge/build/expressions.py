"""Python source of settings, as a person would write it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tritonforge.define.settings import Setting

__all__ = ["call", "expression", "names"]

WIDTH = 100


def call(function: str, positional: tuple[Any, ...], keywords: Mapping[str, Any], indent: int = 0) -> str:
    """Write a call: on one line where it fits, else with an argument a line."""
    arguments = [expression(value, indent + 4) for value in positional]
    arguments += [f"{name}={expression(value, indent + 4)}" for name, value in keywords.items()]
    return _enclosed(f"{function}(", arguments, ")", indent)


def expression(value: Any, indent: int = 0) -> str:
    """Write a setting, or data made of settings."""
    if isinstance(value, Setting):
        return call(type(value).__name__, (), _said(value), indent)
    if isinstance(value, Mapping):
        items = [f"{expression(key)}: {expression(item, indent + 4)}" for key, item in value.items()]
        return _enclosed("{", items, "}", indent)
    if isinstance(value, tuple | list):
        items = [expression(item, indent + 4) for item in value]
        if isinstance(value, list):
            return _enclosed("[", items, "]", indent)
        single = len(items) == 1 and "\n" not in items[0]
        return f"({items[0]},)" if single else _enclosed("(", items, ")", indent)
    return _string(value) if isinstance(value, str) else repr(value)


def names(value: Any) -> Iterator[str]:
    """Give the names that an expression uses."""
    if isinstance(value, Setting):
        yield type(value).__name__
        value = _said(value)
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, tuple | list):
        for item in value:
            yield from names(item)


def _said(setting: Setting) -> dict[str, Any]:
    """Give the fields that are not at their default."""
    fields = type(setting).model_fields.items()
    return {
        name: getattr(setting, name)
        for name, field in fields
        if field.is_required() or getattr(setting, name) != field.default
    }


def _string(text: str) -> str:
    """Write a string in double quotes, as formatters do."""
    written = repr(text)
    return f'"{written[1:-1]}"' if written[0] == "'" and '"' not in text else written


def _enclosed(start: str, items: list[str], end: str, indent: int) -> str:
    line = f"{start}{', '.join(items)}{end}"
    if indent + len(line) <= WIDTH and "\n" not in line:
        return line
    inner = "".join(f"{' ' * (indent + 4)}{item},\n" for item in items)
    return f"{start}\n{inner}{' ' * indent}{end}"
