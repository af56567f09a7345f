"""All models that a set of definitions needs: themselves, and what their pipelines call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tritonforge.define import Definition, Pipeline, PythonModel
from tritonforge.errors import Diagnostic, DiagnosticError
from tritonforge.ir import Graph

__all__ = ["Gathered", "gather"]

AnyDefinition = Definition[..., Any]


@dataclass(frozen=True, slots=True)
class Gathered:
    """The definitions to lower, each once, the graph of each pipeline, and what was found wrong on the way."""

    definitions: tuple[AnyDefinition, ...]
    graphs: dict[int, Graph]
    diagnostics: tuple[Diagnostic, ...]

    def graph(self, definition: AnyDefinition) -> Graph | None:
        """Give the graph of a pipeline."""
        return self.graphs.get(id(definition))


def gather(definitions: Iterable[AnyDefinition]) -> Gathered:
    """Trace every pipeline and follow its calls.

    A definition whose signature can't be served is left out; its diagnostics tell why.
    """
    waiting = list(definitions)
    seen: dict[int, AnyDefinition] = {}
    kept: list[AnyDefinition] = []
    graphs: dict[int, Graph] = {}
    found: list[Diagnostic] = []
    while waiting:
        definition = waiting.pop(0)
        if id(definition) in seen:
            continue
        seen[id(definition)] = definition
        found += _unreachable(definition)
        try:
            _ = definition.signature
            if isinstance(definition, Pipeline):
                traced = definition.trace()
                found += traced.diagnostics
                graphs[id(definition)] = traced.graph
                waiting += [model for model in traced.models if isinstance(model, Definition)]
        except DiagnosticError as error:
            found += error.diagnostics
        else:
            kept.append(definition)
    return Gathered(tuple(kept), graphs, tuple(dict.fromkeys(found)))


def _unreachable(definition: AnyDefinition) -> list[Diagnostic]:
    """Say of a definition without a name, or of Python that the server couldn't find again, how to mend it."""
    if isinstance(definition, PythonModel) and not definition.variable:
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
