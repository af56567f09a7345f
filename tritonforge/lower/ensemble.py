"""A pipeline's graph → a Triton ensemble."""

from __future__ import annotations

from collections.abc import Mapping

from tritonforge.errors import Diagnostic, DiagnosticError, Where
from tritonforge.ir import (
    Ensemble,
    EnsembleStep,
    Graph,
    InputRef,
    Model,
    ModelConfig,
    Reference,
    Signature,
    Step,
    StepRef,
)
from tritonforge.lower.flatten import flatten
from tritonforge.lower.identity import identity_model, identity_step, put_behind
from tritonforge.lower.tensors import configure_tensor

__all__ = ["GOES_TO_ALL", "lower_ensemble", "untold_steps"]

GOES_TO_ALL = "which Triton hands to every model of an ensemble"


def lower_ensemble(
    name: str, signature: Signature, graph: Graph, where: Where, *, inner: Mapping[str, Graph], max_batch_size: int
) -> list[Model]:
    """Lower a pipeline: the ensemble, and the identity model where it needs one.

    `inner` are the graphs of the pipelines that become ensembles too; their steps take the place of their calls.

    Raises:
        DiagnosticError: a call leaves out the request's parameters of a model that takes them.
    """
    untold = untold_steps(graph)
    if untold:
        hint = 'hand them on, from an argument of the pipeline; or take lowering="fused" or "bls"'
        reason = f"its call leaves out the request's parameters, {GOES_TO_ALL}"
        raise DiagnosticError([Diagnostic("TF221", step.where, reason, hint) for step in untold])
    flat = flatten(graph, inner)
    identity = identity_step(name, signature, flat, where)
    config = ModelConfig(
        name=name,
        platform="ensemble",
        max_batch_size=max_batch_size,
        inputs=tuple(configure_tensor(spec, batched=signature.batched, reshape=False) for spec in signature.inputs),
        outputs=tuple(configure_tensor(spec, batched=signature.batched, reshape=False) for spec in signature.outputs),
        ensemble=Ensemble(_steps(flat if identity is None else put_behind(flat, identity))),
    )
    ensemble = Model(config=config, signature=signature, where=where, graph=graph)
    return [ensemble] if identity is None else [ensemble, identity_model(identity, max_batch_size, where)]


def untold_steps(graph: Graph) -> tuple[Step, ...]:
    """Find the calls that leave out the request's parameters of a model that takes them."""
    return tuple(step for step in graph.steps if step.signature.request_parameters and not step.told)


def _steps(graph: Graph) -> tuple[EnsembleStep, ...]:
    tensors = _tensor_names(graph)
    steps = []
    for index in sorted(graph.alive()):
        step = graph.steps[index]
        outputs = [StepRef(index, spec.name) for spec in step.signature.outputs]
        made = tuple((ref.output, tensors[ref]) for ref in outputs if ref in tensors)
        fed = tuple((name, tensors[reference]) for name, reference in step.inputs)
        steps.append(EnsembleStep(step.model, fed, made))
    return tuple(steps)


def _tensor_names(graph: Graph) -> dict[Reference, str]:
    """Name each tensor that is used: a pipeline's outputs as they are, all others after the step that makes them."""
    names: dict[Reference, str] = {
        reference: name for name, reference in graph.outputs if isinstance(reference, StepRef)
    }
    used = [reference for index in graph.alive() for _, reference in graph.steps[index].inputs]
    for reference in used:
        if isinstance(reference, InputRef):
            names[reference] = reference.name
        elif reference not in names:
            names[reference] = f"{_label(graph, reference.step)}.{reference.output}"
    return names


def _label(graph: Graph, index: int) -> str:
    """Name a step after its model, with a number from its second use on."""
    model = graph.steps[index].model
    earlier = sum(step.model == model for step in graph.steps[:index])
    return f"{model}#{earlier + 1}" if earlier else model  # no model's name has a #
