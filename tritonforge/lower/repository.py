"""Definitions → `ir.Repository`: the configuration of each model, and the files that it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tritonforge.define import Batching, Definition, Pipeline, PythonModel, WeightsModel
from tritonforge.errors import Diagnostic, DiagnosticError
from tritonforge.ir import Code, Graph, Model, Repository, Signature
from tritonforge.lower.closure import Gathered
from tritonforge.lower.configuration import configure
from tritonforge.lower.ensemble import lower_ensemble
from tritonforge.lower.python import lower_function, lower_fused

__all__ = ["lower"]

CodeOf = Callable[[Definition[..., Any]], Code]


def lower(gathered: Gathered, code_of: CodeOf) -> tuple[Repository, list[Diagnostic]]:
    """Lower all definitions; `code_of` gives the files that a definition's module needs.

    Gives the models that could be lowered, and the diagnostics of those that couldn't (a missing file, a failed
    export).
    """
    models: list[Model] = []
    found: list[Diagnostic] = []
    sizes: dict[str, int] = {}
    graphs = {d.name: graph for d in gathered.definitions if (graph := gathered.graph(d)) is not None}
    # Pipelines last: the largest batch of one is known when those of its models are.
    for definition in sorted(gathered.definitions, key=lambda one: isinstance(one, Pipeline)):
        try:
            if isinstance(definition, Pipeline):
                largest = _largest_batch(definition.name, definition.signature, graphs, sizes)
                models += _lower_pipeline(definition, gathered, largest, code_of)
            else:
                models.append(_lower_model(definition, code_of))
                sizes[definition.name] = models[-1].config.max_batch_size
        except DiagnosticError as error:
            found += error.diagnostics
    return Repository(tuple(sorted(models, key=lambda lowered: lowered.config.name))), found


def _lower_model(definition: Definition[..., Any], code_of: CodeOf) -> Model:
    if isinstance(definition, PythonModel):
        return lower_function(definition, code_of(definition))
    assert isinstance(definition, WeightsModel)
    return Model(
        config=configure(definition),
        signature=definition.signature,
        where=definition.where,
        files=definition.files,
    )


def _lower_pipeline(definition: Pipeline[..., Any], gathered: Gathered, largest: int, code_of: CodeOf) -> list[Model]:
    graph = gathered.graph(definition)
    assert graph is not None, "every pipeline has been traced"
    if definition.lowering == "fused":
        called = gathered.parts(definition)
        return [lower_fused(definition, graph, called, largest_batch=largest, code=code_of(definition))]
    if definition.batching is not None or definition.instances is not None:
        raise DiagnosticError(
            [
                Diagnostic(
                    "TF217",
                    definition.where,
                    "an ensemble has no batching or instances of its own",
                    'set them on its models, or take lowering="fused"',
                )
            ]
        )
    return lower_ensemble(definition.name, definition.signature, graph, largest, definition.where)


def _largest_batch(
    name: str, signature: Signature, graphs: Mapping[str, Graph], sizes: dict[str, int], above: tuple[str, ...] = ()
) -> int:
    """Give the largest batch that every model of a pipeline takes; 0 where it isn't batched."""
    if not signature.batched:
        return 0
    if name in above:
        return Batching().max_batch_size  # a cycle, which the checks refuse
    if name not in sizes:
        steps = graphs[name].steps if name in graphs else ()
        below = [_largest_batch(step.model, step.signature, graphs, sizes, (*above, name)) for step in steps]
        sizes[name] = min((size for size in below if size), default=Batching().max_batch_size)
    return sizes[name]
