"""Usage within a pipeline: inputs that nothing takes, and results that nothing uses."""

from __future__ import annotations

from collections.abc import Iterator

from tritonforge.errors import Diagnostic
from tritonforge.ir import Graph, InputRef, Model, Repository

__all__ = ["check"]

_UNUSED = "no step that is served takes it"


def check(repository: Repository) -> Iterator[Diagnostic]:
    """Check each pipeline's use of its inputs and steps."""
    for model in repository.models:
        if model.graph is not None:
            yield from _inputs(model, model.graph)
            if model.config.platform == "ensemble":
                yield from _outputs(model, model.graph)
            yield from _steps(model, model.graph)


def _inputs(model: Model, graph: Graph) -> Iterator[Diagnostic]:
    parameters = model.signature.request_parameters
    if parameters and not any(graph.steps[index].told for index in graph.alive()):
        subject = model.where.at(f'{model.config.name}, argument "{parameters}"')
        yield Diagnostic("TF206", subject, _UNUSED, "hand it to a model that takes it, or take the parameter away")
    fed = {reference for index in graph.alive() for _, reference in graph.steps[index].inputs}
    passed = {reference for _, reference in graph.outputs}
    for spec in model.signature.inputs:
        subject = model.where.at(f'{model.config.name}, input "{spec.name}"')
        reference = InputRef(spec.name)
        if reference not in fed | passed:
            yield Diagnostic("TF206", subject, _UNUSED, "pass it to a model, or take the parameter away")
        elif spec.optional and reference in passed:
            yield Diagnostic(
                "TF212",
                subject,
                "it is optional, and an output: where it isn't sent, there would be no output",
                "put a model between them that gives a value for None",
            )


def _outputs(model: Model, graph: Graph) -> Iterator[Diagnostic]:
    inputs = {spec.name for spec in model.signature.inputs}
    for name, reference in graph.outputs:
        if name in inputs and reference != InputRef(name):
            yield Diagnostic(
                "TF211",
                model.where.at(f'{model.config.name}, output "{name}"'),
                "an input has the same name; in an ensemble both would be one tensor",
                "rename the output",
            )
        elif name in inputs:
            yield Diagnostic(
                "TF218",
                model.where.at(f'{model.config.name}, output "{name}"'),
                "it is the input of that name; Triton 24.10 fails a request that asks for other outputs but not for it",
                "give the output another name",
                "warning",
            )


def _steps(model: Model, graph: Graph) -> Iterator[Diagnostic]:
    passed_by_name = graph.outputs and all(reference == InputRef(name) for name, reference in graph.outputs)
    if not graph.steps or passed_by_name:
        yield Diagnostic("TF214", model.where, "it calls no model", "a pipeline chains at least one")
    alive = graph.alive()
    for index, step in enumerate(graph.steps):
        if index not in alive:
            yield Diagnostic(
                "TF215", step.where, "nothing uses its results; it isn't served", "take the call out", "warning"
            )
