"""Definitions → `ir.Repository`: the configuration of each model, and the files that it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tritonforge.define import Batching, Definition, ModelFiles, Pipeline, PythonModel, WeightsModel
from tritonforge.define.asynchronous import is_async
from tritonforge.errors import Diagnostic, DiagnosticError
from tritonforge.ir import Code, Graph, Model, Repository
from tritonforge.lower.closure import Gathered
from tritonforge.lower.ensemble import lower_ensemble
from tritonforge.lower.files import lower_files
from tritonforge.lower.labels import inherit_labels
from tritonforge.lower.options import apply_options
from tritonforge.lower.python import lower_body, lower_function
from tritonforge.lower.sharing import copied_inputs
from tritonforge.lower.weights import lower_weights

__all__ = ["lower"]

CodeOf = Callable[[Definition[..., Any]], Code]


def lower(gathered: Gathered, code_of: CodeOf) -> tuple[Repository, list[Diagnostic]]:
    """Lower all definitions; `code_of` gives the files that a definition's module needs.

    Gives the models that could be lowered, and the diagnostics of those that couldn't (a missing file, a failed
    export).
    """
    models: list[Model] = []
    found: list[Diagnostic] = []
    made: dict[str, Model] = {}
    # Pipelines last: the largest batch of one, and its labels, are known when those of its models are.
    for definition in sorted(gathered.definitions, key=lambda one: isinstance(one, Pipeline)):
        try:
            if isinstance(definition, Pipeline):
                models += _lower_pipeline(definition, gathered, made, code_of)
            else:
                made[definition.name] = _lower_model(definition, code_of)
                models.append(made[definition.name])
        except DiagnosticError as error:
            found += error.diagnostics
    return Repository(tuple(sorted(models, key=lambda lowered: lowered.config.name))), found


def _lower_model(definition: Definition[..., Any], code_of: CodeOf) -> Model:
    if isinstance(definition, PythonModel):
        return apply_options(lower_function(definition, code_of(definition)), definition)
    if isinstance(definition, ModelFiles):
        return lower_files(definition)
    assert isinstance(definition, WeightsModel)
    return lower_weights(definition)


def _lower_pipeline(
    definition: Pipeline[..., Any], gathered: Gathered, made: Mapping[str, Model], code_of: CodeOf
) -> list[Model]:
    """Lower a pipeline, with its options; `made` are the models that it may call, by name."""
    graph = gathered.graph(definition)
    lowering = gathered.choices[id(definition)].lowering
    largest = _largest_batch(definition, gathered, made)
    if lowering != "ensemble":
        called = gathered.parts(definition)
        bodies = [one for one in (definition, *called) if isinstance(one, Pipeline)]
        stacked = all(gathered.graph(body) is not None for body in bodies)
        code = code_of(definition)
        remote = lowering == "bls"
        body = lower_body(definition, graph, called, remote=remote, stacked=stacked, largest_batch=largest, code=code)
        flat = gathered.flat(definition)
        if remote:
            body = _with_largest_batches(body, made)
        elif flat is not None:
            body = _with_copies(body, definition, flat)
        body = apply_options(body, definition)
        return [body if flat is None else inherit_labels(body, flat, made)]
    assert graph is not None, "what becomes an ensemble has been traced"
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
    ensemble, *others = lower_ensemble(
        definition.name,
        definition.signature,
        graph,
        definition.where,
        inner=gathered.ensembles,
        max_batch_size=largest,
    )
    return [apply_options(ensemble, definition), *others]


def _with_largest_batches(model: Model, made: Mapping[str, Model]) -> Model:
    """Tell a bls pipeline how many rows each model that it calls takes."""
    assert model.code is not None
    shim = model.code.shim
    parts = tuple(replace(part, most_rows=_most_rows(made, part.name) if part.remote else 0) for part in shim.parts)
    return replace(model, code=replace(model.code, shim=replace(shim, parts=parts)))


def _with_copies(model: Model, definition: Pipeline[..., Any], flat: Graph) -> Model:
    """Tell a fused pipeline which inputs of its steps must be copies."""
    assert model.code is not None
    shim = model.code.shim
    writers = {part.name for part in shim.parts if not part.path}
    copied = copied_inputs(flat, writers, in_order=not is_async(definition.body))
    parts = tuple(replace(part, copied=tuple(sorted(copied.get(part.name, ())))) for part in shim.parts)
    return replace(model, code=replace(model.code, shim=replace(shim, parts=parts)))


def _largest_batch(definition: Pipeline[..., Any], gathered: Gathered, made: Mapping[str, Model]) -> int:
    """Give the largest batch that every model of a pipeline takes; 0 where it isn't batched."""
    if not definition.signature.batched:
        return 0
    parts = gathered.parts(definition)
    below = [_most_rows(made, part.name) for part in parts]
    below += [part.batching.max_batch_size for part in parts if isinstance(part, Pipeline) and part.batching]
    return min((size for size in below if size), default=Batching().max_batch_size)


def _most_rows(made: Mapping[str, Model], name: str) -> int:
    return made[name].config.max_batch_size if name in made else 0
