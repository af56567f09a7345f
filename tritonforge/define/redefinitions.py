"""Functions that are definitions and would be lost: another one takes their name in the same module, or a class has
them.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tritonforge.define.base import Definition
from tritonforge.errors import Diagnostic, Where

__all__ = ["in_classes", "made_functions", "note", "replaced"]

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


def in_classes(made: list[Made]) -> Iterator[Diagnostic]:
    """Say which definitions are methods: no variable of the module holds them, and their `self` is no tensor."""
    for definition, namespace in made:
        function = definition.__wrapped__
        owner, _, method = getattr(function, "__qualname__", "").rpartition(".")
        members: Mapping[str, Any] = getattr(namespace.get(owner), "__dict__", {})
        if not inspect.isfunction(function) or method not in members or members[method] is not definition:
            continue
        if next(iter(inspect.signature(function).parameters), "") == "self":
            reason = f"it is a method of the class {owner}, which can't be served by itself"
            hint = f"make {owner} the model, with this as its __call__, or write a function"
            yield Diagnostic("TF108", definition.where, reason, hint)
