"""The models that a function's code names: for bodies that branch on data, and models that call others."""

from __future__ import annotations

import builtins
import inspect
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

from tritonforge.define.base import Definition

__all__ = ["named_models", "named_values"]


def named_models(body: Callable[..., Any]) -> tuple[Definition[..., Any], ...]:
    """Find the definitions that a function, or a class's methods, refer to, by name or as `module.name`.

    Those are meant that stand in their own code, and in that of the plain functions of the module that they refer to.
    """
    models = {id(value): value for value in named_values(body) if isinstance(value, Definition)}
    return tuple(models.values())


def named_values(body: Callable[..., Any]) -> Iterator[object]:
    """Give what the code of a function, or of a class's methods, refers to, and the plain functions that it calls."""
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
            yield value
            if isinstance(value, FunctionType) and value.__module__ == function.__module__:
                waiting.append(value)


def _named(function: FunctionType) -> Iterator[object]:
    """Give what the names in a function's code stand for, as far as that is known before it runs."""
    names = list(_names(function.__code__))
    captured = inspect.getclosurevars(function).nonlocals
    for name in names:
        value = captured.get(name, function.__globals__.get(name, vars(builtins).get(name)))
        yield value
        if isinstance(value, ModuleType):
            yield from (vars(value)[inner] for inner in names if inner in vars(value))


def _names(code: CodeType) -> Iterator[str]:
    yield from (*code.co_names, *code.co_freevars)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
