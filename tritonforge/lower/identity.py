"""The identity model behind a pipeline: it gives the results that Triton's ensembles can't give by themselves.

Seen in Triton 24.10: an ensemble gives a result under one name only; an input only under its own name; refuses to load
where an input is taken by no step; and, asked for some of its outputs, fails where a step needs one of the others.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from tritonforge.errors import Where
from tritonforge.ir import (
    Code,
    DynamicBatching,
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

__all__ = ["identity_model", "identity_step", "put_behind"]

SOURCE = """\
\"\"\"Gives tensors back: for results of a pipeline that Triton's ensembles can't give by themselves.\"\"\"


def identity({parameters}):
    return ({results},)
"""


def identity_step(name: str, signature: Signature, graph: Graph, where: Where) -> Step | None:
    """Make a last step for the outputs that the ensemble of a flat graph can't give by itself, where there are any.

    An input that no step takes rides along, beside a result that goes through the step for its sake.
    """
    fed = {reference for index in graph.alive() for _, reference in graph.steps[index].inputs}
    given = Counter(reference for _, reference in graph.outputs)
    passed = {
        output: reference
        for output, reference in graph.outputs
        if (reference in fed or given[reference] > 1 if isinstance(reference, StepRef) else reference.name != output)
    }
    idle = [spec for spec in signature.inputs if InputRef(spec.name) not in fed | set(passed.values())]
    if idle and not passed:
        passed = dict([(output, ref) for output, ref in graph.outputs if isinstance(ref, StepRef)][:1])
    if not passed:
        return None
    outputs = tuple(replace(spec, text=False) for spec in signature.outputs if spec.name in passed)
    riding = tuple(replace(spec, text=False) for spec in idle)
    inputs = [(spec.name, passed[spec.name]) for spec in outputs] + [(spec.name, InputRef(spec.name)) for spec in idle]
    return Step(
        f"{name}.identity",
        Signature((*outputs, *riding), outputs, batched=signature.batched),
        tuple(inputs),
        where,
    )


def put_behind(graph: Graph, identity: Step) -> Graph:
    """Put the identity step behind a graph."""
    last, given = len(graph.steps), {spec.name for spec in identity.signature.outputs}
    outputs: list[tuple[str, Reference]] = [
        (output, StepRef(last, output) if output in given else reference) for output, reference in graph.outputs
    ]
    return Graph((*graph.steps, identity), tuple(outputs))


def identity_model(step: Step, max_batch_size: int, where: Where) -> Model:
    """Make the model of an identity step."""
    signature = step.signature
    config = ModelConfig(
        name=step.model,
        backend="python",
        max_batch_size=max_batch_size,
        inputs=tuple(
            configure_tensor(spec, batched=signature.batched, ragged=signature.batched and -1 in spec.sizes)
            for spec in signature.inputs
        ),
        outputs=tuple(configure_tensor(spec, batched=signature.batched) for spec in signature.outputs),
        dynamic_batching=DynamicBatching() if max_batch_size else None,
        instance_groups=(InstanceGroup("KIND_CPU", 1),),
    )
    shim = Shim(module="tritonforge_identity", attribute="identity", paths=("source",), origin="tritonforge")
    source = SOURCE.format(
        parameters=", ".join(spec.name for spec in signature.inputs),
        results=", ".join(spec.name for spec in signature.outputs),
    )
    code = Code(shim, (File("source/tritonforge_identity.py", content=source.encode()),))
    return Model(config=config, signature=signature, where=where, code=code)
