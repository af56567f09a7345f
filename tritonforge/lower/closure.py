"""All models that a set of definitions needs: themselves, and what their pipelines call."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tritonforge.define import Definition, Pipeline, PythonModel, Traced
from tritonforge.errors import Diagnostic, DiagnosticError
from tritonforge.ir import Graph

__all__ = ["Gathered", "gather"]

AnyDefinition = Definition[..., Any]


@dataclass(frozen=True, slots=True)
class Gathered:
    """The definitions to lower, each once, the trace of each pipeline, and what was found wrong on the way."""

    definitions: tuple[AnyDefinition, ...]
    traces: dict[int, Traced]
    diagnostics: tuple[Diagnostic, ...]

    def graph(self, definition: AnyDefinition) -> Graph | None:
        """Give the graph of a pipeline."""
        traced = self.traces.get(id(definition))
        return None if traced is None else traced.graph

    def parts(self, definition: AnyDefinition) -> tuple[AnyDefinition, ...]:
        """Give the models that a pipeline calls, itself and by way of other pipelines, each once."""
        found: dict[int, AnyDefinition] = {}
        waiting = [definition]
        for caller in waiting:  # grows while it is walked
            traced = self.traces.get(id(caller))
            for model in traced.models if traced is not None else ():
                if isinstance(model, Definition) and id(model) not in found:
                    found[id(model)] = model
                    waiting.append(model)
        return tuple(model for model in found.values() if not isinstance(model, Pipeline))


def gather(definitions: Iterable[AnyDefinition]) -> Gathered:
    """Trace every pipeline and follow its calls.

    A definition whose signature can't be served is left out; its diagnostics tell why.
    """
    waiting = deque(definitions)
    seen: dict[int, AnyDefinition] = {}
    kept: list[AnyDefinition] = []
    traces: dict[int, Traced] = {}
    found: list[Diagnostic] = []
    while waiting:
        definition = waiting.popleft()
        if id(definition) in seen:
            continue
        seen[id(definition)] = definition
        found += _unreachable(definition)
        try:
            _ = definition.signature
            if isinstance(definition, Pipeline):
                traced = definition.trace()
                found += traced.diagnostics
                traces[id(definition)] = traced
                waiting += [model for model in traced.models if isinstance(model, Definition)]
        except DiagnosticError as error:
            found += error.diagnostics
        else:
            kept.append(definition)
    return Gathered(tuple(kept), traces, tuple(dict.fromkeys(found)))


def _runs_in_python(definition: AnyDefinition) -> bool:
    return isinstance(definition, PythonModel) or (isinstance(definition, Pipeline) and definition.lowering == "fused")


def _unreachable(definition: AnyDefinition) -> list[Diagnostic]:
    """Say of a definition without a name, or of Python that the server couldn't find again, how to mend it."""
    if _runs_in_python(definition) and not definition.variable:
        return [
            Diagnostic(
                "TF108",
                definition.where,
                "no variable of its module holds it, so that Triton's Python can't import it",
                "define it at the top of the module, not inside a function or a list",
            )
        ]
    if not definition.name:
        return [
            Diagnostic(
                "TF108", definition.where, "a model without a name", 'assign it to a variable, or give it name="…"'
            )
        ]
    return []
