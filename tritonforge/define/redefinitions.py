"""Definitions that would be lost: another one takes their name in the same module, a class has them, or no variable."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tritonforge.define.base import Definition
from tritonforge.errors import Diagnostic, Where

__all__ = ["in_classes", "made_definitions", "note", "replaced", "unheld"]

Made = tuple[Any, Mapping[str, Any]]
"""A definition, and the namespace of its module."""

_made: ContextVar[list[Made] | None] = ContextVar("made", default=None)


@contextmanager
def made_definitions() -> Iterator[list[Made]]:
    """Collect the definitions that are made inside the `with` block."""
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
        if _replaces(first, namespace):
            second, where = namespace[first.__name__], first.where
            yield Diagnostic(
                "TF106",
                second.where,
                f'it takes the place of the "{first.__name__}" that is defined at {Where(where.file, where.line)}',
                "rename one of them",
            )


def _replaces(first: Any, namespace: Mapping[str, Any]) -> bool:
    function = getattr(first, "__wrapped__", None)
    second = namespace.get(getattr(first, "__name__", ""))
    other = getattr(second, "__wrapped__", None)
    if function is None or first.variable or not isinstance(second, Definition) or other is function:
        return False
    return bool(getattr(other, "__qualname__", "") == getattr(function, "__qualname__", None) == first.__name__)


def in_classes(made: list[Made]) -> Iterator[Diagnostic]:
    """Say which definitions are methods: no variable of the module holds them, and their `self` is no tensor."""
    for definition, namespace in made:
        if owner := _owner(definition, namespace):
            reason = f"it is a method of the class {owner}, which can't be served by itself"
            hint = f"make {owner} the model, with this as its __call__, or write a function"
            yield Diagnostic("TF108", definition.where, reason, hint)


def _owner(definition: Any, namespace: Mapping[str, Any]) -> str:
    """Give the class that has a definition for a method; empty where it is none."""
    function = getattr(definition, "__wrapped__", None)
    owner, _, method = getattr(function, "__qualname__", "").rpartition(".")
    members: Mapping[str, Any] = getattr(namespace.get(owner), "__dict__", {})
    if not inspect.isfunction(function) or method not in members or members[method] is not definition:
        return ""
    return owner if next(iter(inspect.signature(function).parameters), "") == "self" else ""


def unheld(made: list[Made], held: Collection[Any]) -> Iterator[Definition[..., Any]]:
    """Give the definitions that no variable holds, and that nothing else is told of.

    `held` are those that a variable of any module holds. Where one has the function and the name of this one, it was
    made of it, and is meant.
    """
    kept = {id(definition) for definition in held}
    remade = {(id(getattr(one, "__wrapped__", one)), one.name) for one in held}
    for definition, namespace in made:
        again = (id(getattr(definition, "__wrapped__", definition)), definition.name) in remade
        lost = not (again or id(definition) in kept or definition.variable)
        if lost and not _replaces(definition, namespace) and not _owner(definition, namespace):
            yield definition
