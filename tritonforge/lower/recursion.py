"""Models whose code calls a pipeline that calls them: Python finds no end to it, and no graph shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tritonforge.define import Definition, Pipeline, PythonModel
from tritonforge.define.calls import named_models
from tritonforge.errors import Diagnostic

__all__ = ["find_recursion"]

AnyDefinition = Definition[..., Any]


def find_recursion(
    definitions: tuple[AnyDefinition, ...], called: Mapping[int, tuple[AnyDefinition, ...]]
) -> Iterator[Diagnostic]:
    """Warn of each cycle through a pipeline and a Python model, at the model.

    It is no error: what a model's code names it may call only sometimes. Cycles of pipelines alone are errors, where
    their bodies can be traced.
    """
    told: set[frozenset[int]] = set()
    for definition in definitions:
        if isinstance(definition, PythonModel):
            ring = _ring(definition, called)
            members = frozenset(map(id, ring))
            if any(isinstance(one, Pipeline) for one in ring) and members not in told:
                told.add(members)
                names = " → ".join(one.name for one in (*ring, definition))
                yield Diagnostic(
                    "TF220",
                    definition.where,
                    f"a cycle: {names}; a request never ends unless the code of a model on it stops calling",
                    "take one call out, or leave it where the code decides that by its input",
                    "warning",
                )


def _ring(start: AnyDefinition, called: Mapping[int, tuple[AnyDefinition, ...]]) -> tuple[AnyDefinition, ...]:
    """Find the shortest way from a definition back to itself; empty where there is none."""
    ways: list[tuple[AnyDefinition, ...]] = [(start,)]
    seen: set[int] = set()
    for way in ways:  # grows while it is walked
        for model in _calls(way[-1], called):
            if model is start:
                return way
            if id(model) not in seen:
                seen.add(id(model))
                ways.append((*way, model))
    return ()


def _calls(definition: AnyDefinition, called: Mapping[int, tuple[AnyDefinition, ...]]) -> tuple[AnyDefinition, ...]:
    if isinstance(definition, PythonModel):
        return named_models(definition.target)
    return called.get(id(definition), ())
