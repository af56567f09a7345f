"""How a field of the representation is spelled in Triton's schema, where it isn't the same name and shape.

A mapping is a tuple of pairs, sorted by key, so that records are hashable. A message that Triton wraps around a single
field (`reshape { shape: [] }`) is that field here; None says that the message isn't there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any, get_args, get_type_hints

__all__ = ["Binding", "bindings", "mapped"]

NAME, WRAPS = "name", "wraps"


def mapped(default: Any = None, *, name: str = "", wraps: str | None = None) -> Any:
    """Declare a field that Triton calls `name`, and whose value is the field `wraps` of a message there.

    `wraps=""` is a message without fields, whose presence says all: the value is True, or None.
    """
    return field(default=default, metadata={NAME: name, WRAPS: wraps})


@dataclass(frozen=True, slots=True)
class Binding:
    """A field of a record: its name here and in the schema, what it unwraps, and the record that its value is of."""

    attribute: str
    name: str
    wraps: str | None
    record: type[Any] | None


def bindings(record: Any) -> tuple[Binding, ...]:
    """Give the fields of a record (a dataclass) that are fields of Triton's message too."""
    return _bindings(record)


@cache
def _bindings(record: Any) -> tuple[Binding, ...]:
    hints = get_type_hints(record)
    return tuple(
        Binding(
            one.name,
            one.metadata.get(NAME) or one.name,
            one.metadata.get(WRAPS),
            next(_records(hints[one.name]), None),
        )
        for one in fields(record)
    )


def _records(hint: Any) -> Iterator[type[Any]]:
    if is_dataclass(hint) and isinstance(hint, type):
        yield hint
    for argument in get_args(hint):
        yield from _records(argument)
