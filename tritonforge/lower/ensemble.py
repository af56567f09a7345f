"""A pipeline's graph → a Triton ensemble, and the identity model that it may need."""

from __future__ import annotations

from dataclasses import replace

from tritonforge.errors import Where
from tritonforge.ir import (
    Code,
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
from tritonforge.lower.tensors import configure

__all__ = ["lower_pipeline"]

IDENTITY = """\
\"\"\"Gives its inputs back: for results of a pipeline that Triton's ensembles can't map by themselves.\"\"\"


def identity(**tensors):
    return tuple(tensors.values())
"""


def lower_pipeline(name: str, signature: Signature, graph: Graph, max_batch_size: int, where: Where) -> list[Model]:
    """Lower a pipeline: the ensemble, and the identity model where it needs one."""
    full, identity = _with_identity(name, signature, graph, where)
    config = ModelConfig(
        name=name,
        platform="ensemble",
        max_batch_size=max_batch_size,
        inputs=tuple(configure(spec, batched=signature.batched, reshape=False) for spec in signature.inputs),
        outputs=tuple(configure(spec, batched=signature.batched, reshape=False) for spec in signature.outputs),
        ensemble_steps=_steps(full),
    )
    ensemble = Model(config=config, signature=signature, where=where, graph=graph)
    return [ensemble] if identity is None else [ensemble, _identity_model(identity, max_batch_size, where)]


def _steps(graph: Graph) -> tuple[EnsembleStep, ...]:
    tensors = _tensor_names(graph)
    steps = []
    for index in sorted(_alive(graph)):
        step = graph.steps[index]
        outputs = [spec.name for spec in step.signature.outputs]
        made = tuple(
            (output, tensors[StepRef(index, output)]) for output in outputs if StepRef(index, output) in tensors
        )
        fed = tuple((name, tensors[reference]) for name, reference in step.inputs)
        steps.append(EnsembleStep(step.model, fed, made))
    return tuple(steps)


def _tensor_names(graph: Graph) -> dict[Reference, str]:
    """Name each tensor that is used: a pipeline's outputs as they are, all others after the step that makes them."""
    names: dict[Reference, str] = {
        reference: name for name, reference in graph.outputs if isinstance(reference, StepRef)
    }
    used = [reference for index in _alive(graph) for _, reference in graph.steps[index].inputs]
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
    return f"{model}_{earlier + 1}" if earlier else model


def _alive(graph: Graph) -> set[int]:
    """Find the steps whose results reach an output; the others aren't served."""
    waiting = [reference.step for _, reference in graph.outputs if isinstance(reference, StepRef)]
    alive: set[int] = set()
    while waiting:
        index = waiting.pop()
        if index not in alive:
            alive.add(index)
            waiting += [ref.step for _, ref in graph.steps[index].inputs if isinstance(ref, StepRef)]
    return alive


def _with_identity(name: str, signature: Signature, graph: Graph, where: Where) -> tuple[Graph, Step | None]:
    """Put a last step behind outputs that no ensemble can map.

    An ensemble gives an input back under its own name only, and a result under one name only (seen in 24.10).
    """
    passed: list[tuple[str, Reference]] = []
    seen: set[Reference] = set()
    for output, reference in graph.outputs:
        if reference in seen or (isinstance(reference, InputRef) and reference.name != output):
            passed.append((output, reference))
        seen.add(reference)
    if not passed:
        return graph, None
    names = {output for output, _ in passed}
    specs = tuple(replace(spec, text=False) for spec in signature.outputs if spec.name in names)
    step = Step(f"{name}.identity", Signature(specs, specs, batched=signature.batched), tuple(passed), where)
    last = len(graph.steps)
    outputs = tuple((o, StepRef(last, o) if o in names else reference) for o, reference in graph.outputs)
    return Graph((*graph.steps, step), outputs), step


def _identity_model(step: Step, max_batch_size: int, where: Where) -> Model:
    config = ModelConfig(
        name=step.model,
        backend="python",
        max_batch_size=max_batch_size,
        inputs=tuple(configure(spec, batched=step.signature.batched) for spec in step.signature.inputs),
        outputs=tuple(configure(spec, batched=step.signature.batched) for spec in step.signature.outputs),
        instance_groups=(InstanceGroup("KIND_CPU", 1),),
    )
    shim = Shim(module="tritonforge_identity", attribute="identity", paths=("source",), origin="tritonforge")
    code = Code(shim, (File("source/tritonforge_identity.py", content=IDENTITY.encode()),))
    return Model(config=config, signature=step.signature, where=where, code=code)
