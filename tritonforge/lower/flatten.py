"""Pipelines inside a pipeline, put in the place of their calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tritonforge.ir import Graph, InputRef, Reference, Step, StepRef

__all__ = ["flatten"]


def flatten(graph: Graph, inner: Mapping[str, Graph]) -> Graph:
    """Replace each call of a pipeline that `inner` knows by that pipeline's own steps.

    An ensemble inside an ensemble costs a hop, and can't be asked for some of its outputs only (see `identity`).
    """
    steps: list[Step] = []
    became: dict[Reference, Reference] = {}
    for index, step in enumerate(graph.steps):
        fed = {name: _follow(reference, became) for name, reference in step.inputs}
        if step.model in inner:
            # Without the pipeline itself: a cycle, which the checks refuse, must end here.
            body = flatten(inner[step.model], {name: other for name, other in inner.items() if name != step.model})
            for output, reference in _append(body, fed, steps).items():
                became[StepRef(index, output)] = reference
        else:
            for spec in step.signature.outputs:
                became[StepRef(index, spec.name)] = StepRef(len(steps), spec.name)
            steps.append(replace(step, inputs=tuple(fed.items())))
    return Graph(tuple(steps), tuple((name, _follow(reference, became)) for name, reference in graph.outputs))


def _append(body: Graph, fed: Mapping[str, Reference], steps: list[Step]) -> dict[str, Reference]:
    """Add the steps of a flat pipeline that is called with `fed`; give what its outputs are now.

    An optional input that the call leaves out is left out of the steps that would take it.
    """
    offset = len(steps)

    def moved(reference: Reference) -> Reference | None:
        if isinstance(reference, InputRef):
            return fed.get(reference.name)
        return StepRef(reference.step + offset, reference.output)

    for step in body.steps:
        inputs = ((name, moved(reference)) for name, reference in step.inputs)
        steps.append(replace(step, inputs=tuple((name, ref) for name, ref in inputs if ref is not None)))
    outputs = ((name, moved(reference)) for name, reference in body.outputs)
    return {name: reference for name, reference in outputs if reference is not None}


def _follow(reference: Reference, became: Mapping[Reference, Reference]) -> Reference:
    return became.get(reference, reference)
