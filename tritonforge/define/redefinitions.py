"""Functions that are definitions, and whose name another one takes in the same module: the first would be lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tritonforge.define.base import Definition
from tritonforge.errors import Diagnostic, Where

__all__ = ["made_functions", "note", "replaced"]

Made = tuple[Any, Mapping[str, Any]]
"""A definition, and the namespace of its module."""

_made: ContextVar[list[Made] | None] = ContextVar("made", default=None)


@contextmanager
def made_functions() -> Iterator[list[Made]]:
    """Collect the definitions of functions and classes that are made inside the `with` block."""
    made: list[Made] = []
    token = _made.set(made)
    try:
        yield made
    finally:
        _made.reset(token)


def note(definition: Any, namespace: Mapping[str, Any]) -> None:
    """Tell of a definition that has been made."""
    made = _made.get()
    if made is not None:
        made.append((definition, namespace))


def replaced(made: list[Made]) -> Iterator[Diagnostic]:
    """Say which definitions no variable holds any more, as a later function of that name is one, too.

    A definition that is made of another's function (`chain = pipeline(lowering="fused")(chain)`) is meant.
    """
    for first, namespace in made:
        function = first.__wrapped__
        second = namespace.get(first.__name__)
        other = getattr(second, "__wrapped__", None)
        if first.variable or not isinstance(second, Definition) or other is function:
            continue
        if getattr(other, "__qualname__", "") == getattr(function, "__qualname__", None) == first.__name__:
            where: Where = first.where
            yield Diagnostic(
                "TF106",
                second.where,
                f'it takes the place of the "{first.__name__}" that is defined at {Where(where.file, where.line)}',
                "rename one of them",
            )
