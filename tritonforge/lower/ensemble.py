"""A pipeline's graph → a Triton ensemble, and the identity model that it may need."""

from __future__ import annotations

from dataclasses import replace

from tritonforge.errors import Where
from tritonforge.ir import (
    Code,
    DynamicBatching,
    EnsembleStep,
    File,
    Graph,
    InputRef,
    InstanceGroup,
    Model,
    ModelConfig,
    Reference,
    Shim,
    Signature,
    Step,
    StepRef,
)
from tritonforge.lower.tensors import configure_tensor

__all__ = ["lower_ensemble"]

IDENTITY = """\
\"\"\"Gives tensors back: for results of a pipeline that Triton's ensembles can't map by themselves.\"\"\"


def identity({parameters}):
    return ({results},)
"""


def lower_ensemble(name: str, signature: Signature, graph: Graph, max_batch_size: int, where: Where) -> list[Model]:
    """Lower a pipeline: the ensemble, and the identity model where it needs one."""
    identity = _identity(name, signature, graph, where)
    config = ModelConfig(
        name=name,
        platform="ensemble",
        max_batch_size=max_batch_size,
        inputs=tuple(configure_tensor(spec, batched=signature.batched, reshape=False) for spec in signature.inputs),
        outputs=tuple(configure_tensor(spec, batched=signature.batched, reshape=False) for spec in signature.outputs),
        ensemble_steps=_steps(graph if identity is None else _behind(graph, identity)),
    )
    ensemble = Model(config=config, signature=signature, where=where, graph=graph)
    return [ensemble] if identity is None else [ensemble, _identity_model(identity, max_batch_size, where)]


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


def _identity(name: str, signature: Signature, graph: Graph, where: Where) -> Step | None:
    """Make a last step for the outputs that no ensemble can map by itself, where there are any.

    An ensemble gives a result under one name only, and an input only under its own name and only where a step takes it
    (seen in 24.10). An input that no step takes rides along, beside a result that goes through the step for its sake.
    """
    fed = {reference for index in graph.alive() for _, reference in graph.steps[index].inputs}
    passed: dict[str, Reference] = {}
    for index, (output, reference) in enumerate(graph.outputs):
        repeated = any(reference == earlier for _, earlier in graph.outputs[:index])
        if repeated or (isinstance(reference, InputRef) and reference.name != output):
            passed[output] = reference
    idle = {o: ref for o, ref in graph.outputs if ref == InputRef(o) and ref not in fed | set(passed.values())}
    if idle and not passed:
        passed = dict([(o, ref) for o, ref in graph.outputs if isinstance(ref, StepRef)][:1])
    if not passed:
        return None
    taken = passed | idle
    specs = [replace(spec, text=False) for spec in signature.outputs]
    return Step(
        f"{name}.identity",
        Signature(
            tuple(spec for spec in specs if spec.name in taken),
            tuple(spec for spec in specs if spec.name in passed),
            batched=signature.batched,
        ),
        tuple((spec.name, taken[spec.name]) for spec in specs if spec.name in taken),
        where,
    )


def _behind(graph: Graph, identity: Step) -> Graph:
    """Put the identity step behind a graph."""
    last, given = len(graph.steps), {spec.name for spec in identity.signature.outputs}
    outputs = tuple((o, StepRef(last, o) if o in given else reference) for o, reference in graph.outputs)
    return Graph((*graph.steps, identity), outputs)


def _identity_model(step: Step, max_batch_size: int, where: Where) -> Model:
    config = ModelConfig(
        name=step.model,
        backend="python",
        max_batch_size=max_batch_size,
        inputs=tuple(configure_tensor(spec, batched=step.signature.batched) for spec in step.signature.inputs),
        outputs=tuple(configure_tensor(spec, batched=step.signature.batched) for spec in step.signature.outputs),
        dynamic_batching=DynamicBatching() if max_batch_size else None,
        instance_groups=(InstanceGroup("KIND_CPU", 1),),
    )
    shim = Shim(module="tritonforge_identity", attribute="identity", paths=("source",), origin="tritonforge")
    source = IDENTITY.format(
        parameters=", ".join(spec.name for spec in step.signature.inputs),
        results=", ".join(spec.name for spec in step.signature.outputs),
    )
    code = Code(shim, (File("source/tritonforge_identity.py", content=source.encode()),))
    return Model(config=config, signature=step.signature, where=where, code=code)
