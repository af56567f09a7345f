"""All models that a set of definitions needs: themselves, and what their pipelines call."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tritonforge.define import Definition, Pipeline, PythonModel
from tritonforge.define.symbols import OnlyInBls
from tritonforge.define.tracing import unchainable
from tritonforge.errors import Diagnostic, DiagnosticError
from tritonforge.ir import Graph
from tritonforge.lower.choice import Choice, choose, count_callers
from tritonforge.lower.flatten import flatten
from tritonforge.lower.recursion import find_recursion

__all__ = ["Gathered", "gather"]

AnyDefinition = Definition[..., Any]


@dataclass(frozen=True, slots=True)
class Gathered:
    """The definitions to lower, each once, what each pipeline calls, and what was found wrong on the way.

    `choices` are the lowerings of the pipelines, by the definitions' ids. A bls pipeline has a graph only where its
    body is one that another lowering would take too.
    """

    definitions: tuple[AnyDefinition, ...]
    graphs: Mapping[int, Graph]
    called: Mapping[int, tuple[AnyDefinition, ...]]
    choices: Mapping[int, Choice]
    diagnostics: tuple[Diagnostic, ...]

    def graph(self, definition: AnyDefinition) -> Graph | None:
        """Give the graph of a pipeline that was traced."""
        return self.graphs.get(id(definition))

    @property
    def ensembles(self) -> dict[str, Graph]:
        """The graphs of the pipelines that become ensembles, by name."""
        return {
            definition.name: self.graphs[id(definition)]
            for definition in self.definitions
            if isinstance(definition, Pipeline) and self.choices[id(definition)].lowering == "ensemble"
        }

    def flat(self, definition: AnyDefinition) -> Graph | None:
        """Give the graph of a pipeline that was traced, in which the pipelines that it calls are steps."""
        graph = self.graph(definition)
        inner = {one.name: found for one in self.parts(definition) if (found := self.graph(one)) is not None}
        return None if graph is None else flatten(graph, inner)

    def parts(self, definition: AnyDefinition) -> tuple[AnyDefinition, ...]:
        """Give the definitions that a pipeline calls, itself and by way of other pipelines, each once."""
        return _parts(definition, self.called)


def gather(definitions: Iterable[AnyDefinition]) -> Gathered:
    """Trace every pipeline and follow its calls.

    A definition whose signature can't be served is left out; its diagnostics tell why.
    """
    waiting = deque(definitions)
    seen: dict[int, AnyDefinition] = {}
    kept: list[AnyDefinition] = []
    graphs: dict[int, Graph] = {}
    called: dict[int, tuple[AnyDefinition, ...]] = {}
    found: list[Diagnostic] = []
    reasons: dict[int, str] = {}
    while waiting:
        definition = waiting.popleft()
        if id(definition) in seen:
            continue
        seen[id(definition)] = definition
        found += _unreachable(definition)
        try:
            _ = definition.signature
            found += definition.remarks
            if isinstance(definition, Pipeline) and definition.lowering == "bls":
                graph, told = _straight(definition)
                if graph is not None:
                    graphs[id(definition)] = graph
                found += [one for one in told if not isinstance(one, OnlyInBls)]
                reasons[id(definition)] = _reason(definition, told)
                called[id(definition)] = definition.called()
            elif isinstance(definition, Pipeline):
                traced = definition.trace()
                found += traced.diagnostics
                graphs[id(definition)] = traced.graph
                called[id(definition)] = tuple(model for model in traced.models if isinstance(model, Definition))
            waiting += called.get(id(definition), ())
        except DiagnosticError as error:
            found += error.diagnostics
        else:
            kept.append(definition)
    callers = count_callers(called)
    choices = {
        id(one): choose(one, graphs.get(id(one)), _parts(one, called), callers, reasons.get(id(one), ""))
        for one in kept
        if isinstance(one, Pipeline)
    }
    found += find_recursion(tuple(kept), called)
    return Gathered(tuple(kept), graphs, called, choices, tuple(dict.fromkeys(found)))


def _parts(definition: AnyDefinition, called: Mapping[int, tuple[AnyDefinition, ...]]) -> tuple[AnyDefinition, ...]:
    found: dict[int, AnyDefinition] = {}
    waiting = [definition]
    for caller in waiting:  # grows while it is walked
        for model in called.get(id(caller), ()):
            if id(model) not in found:
                found[id(model)] = model
                waiting.append(model)
    return tuple(found.values())


def _straight(pipeline: Pipeline[..., Any]) -> tuple[Graph | None, list[Diagnostic]]:
    """Trace the body of a bls pipeline: its graph, where another lowering would take it, and what is found in it.

    What is found may be what speaks against the other lowerings only (`OnlyInBls`).
    """
    try:
        traced = pipeline.trace()
    except DiagnosticError as error:
        graph, found = None, [*error.diagnostics]
    else:
        found = [*traced.diagnostics]
        graph = None if any(isinstance(one, OnlyInBls) for one in found) else traced.graph
    if graph is None:
        found += _unchainable(pipeline, told={one.where.subject for one in found if one.code == "TF213"})
    return graph, found


def _unchainable(pipeline: Pipeline[..., Any], told: Collection[str]) -> Iterator[Diagnostic]:
    """Say of a body that wasn't traced to its end which models it names and can't call."""
    for model in pipeline.called():
        where = pipeline.where.at(f"{pipeline.name} → {model.name}")
        if where.subject not in told:
            with suppress(DiagnosticError):  # it is told where the model is defined
                unfit = unchainable(model)
                if unfit is not None:
                    yield Diagnostic("TF213", where, *unfit)


def _reason(pipeline: Pipeline[..., Any], found: Iterable[Diagnostic]) -> str:
    """Say what keeps the body of a bls pipeline from being traced; nothing where it can be."""
    reasons = (
        one.message if one.where.subject == pipeline.name else f"{one.where.subject}: {one.message}"
        for one in found
        if isinstance(one, OnlyInBls)
    )
    return next(reasons, "")


def _runs_in_python(definition: AnyDefinition) -> bool:
    body = isinstance(definition, Pipeline) and definition.lowering in ("fused", "bls")
    return body or isinstance(definition, PythonModel)


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
