"""The models that a function's code names: for bodies that branch on data, and models that call others."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

from tritonforge.define.base import Definition

__all__ = ["named_models"]


def named_models(body: Callable[..., Any]) -> tuple[Definition[..., Any], ...]:
    """Find the definitions that a function, or a class's methods, refer to, by name or as `module.name`.

    Those are meant that stand in their own code, and in that of the plain functions of the module that they refer to.
    """
    found: dict[int, Definition[..., Any]] = {}
    seen: set[int] = set()
    waiting: list[object] = [inspect.unwrap(body)]
    if isinstance(body, type):
        waiting = [inspect.unwrap(value) for base in body.__mro__ for value in vars(base).values() if callable(value)]
    while waiting:
        function = waiting.pop()
        if not isinstance(function, FunctionType) or id(function) in seen:
            continue
        seen.add(id(function))
        for value in _named(function):
            if isinstance(value, Definition):
                found.setdefault(id(value), value)
            elif isinstance(value, FunctionType) and value.__module__ == function.__module__:
                waiting.append(value)
    return tuple(found.values())


def _named(function: FunctionType) -> Iterator[object]:
    """Give what the names in a function's code stand for, as far as that is known before it runs."""
    names = list(_names(function.__code__))
    captured = inspect.getclosurevars(function).nonlocals
    for name in names:
        value = captured.get(name, function.__globals__.get(name))
        yield value
        if isinstance(value, ModuleType):
            yield from (vars(value)[inner] for inner in names if inner in vars(value))


def _names(code: CodeType) -> Iterator[str]:
    yield from (*code.co_names, *code.co_freevars)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
