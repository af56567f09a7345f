"""Definitions → `ir.Repository`: the configuration of each model, and the files that it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tritonforge.define import Batching, Instances, Pipeline, PythonModel, WeightsModel
from tritonforge.errors import Diagnostic, DiagnosticError
from tritonforge.ir import Code, DynamicBatching, Graph, InstanceGroup, Model, ModelConfig, Repository, Signature
from tritonforge.lower.closure import AnyDefinition, Gathered
from tritonforge.lower.ensemble import lower_pipeline
from tritonforge.lower.tensors import configure

__all__ = ["lower"]

BACKENDS = {"onnx": "onnxruntime", "torchscript": "pytorch"}


def lower(
    gathered: Gathered, code_of: Callable[[PythonModel[..., object]], Code]
) -> tuple[Repository, list[Diagnostic]]:
    """Lower all definitions; `code_of` gives the files that a Python model's module needs.

    Gives the models that could be lowered, and the diagnostics of those that couldn't (a missing file, a failed
    export).
    """
    models: list[Model] = []
    found: list[Diagnostic] = []
    sizes: dict[str, int] = {}
    for definition in gathered.definitions:
        if isinstance(definition, Pipeline):
            continue
        try:
            lowered = _lower_model(definition, code_of)
        except DiagnosticError as error:
            found += error.diagnostics
            continue
        sizes[definition.name] = lowered.config.max_batch_size
        models.append(lowered)
    graphs = {d.name: graph for d in gathered.definitions if (graph := gathered.graph(d)) is not None}
    for definition in gathered.definitions:
        if isinstance(definition, Pipeline):
            size = _largest_batch(definition.name, definition.signature, graphs, sizes)
            models += lower_pipeline(
                definition.name, definition.signature, graphs[definition.name], size, definition.where
            )
    return Repository(tuple(sorted(models, key=lambda lowered: lowered.config.name))), found


def _lower_model(definition: AnyDefinition, code_of: Callable[[PythonModel[..., object]], Code]) -> Model:
    assert isinstance(definition, PythonModel | WeightsModel)
    signature = definition.signature
    batching = _batching(definition)
    python = isinstance(definition, PythonModel)
    config = ModelConfig(
        name=definition.name,
        backend="python" if isinstance(definition, PythonModel) else BACKENDS[definition.kind],
        max_batch_size=batching.max_batch_size if batching else 0,
        inputs=tuple(configure(spec, batched=signature.batched) for spec in signature.inputs),
        outputs=tuple(configure(spec, batched=signature.batched) for spec in signature.outputs),
        dynamic_batching=DynamicBatching(batching.preferred_batch_sizes, batching.max_queue_delay_us)
        if batching and batching.dynamic
        else None,
        instance_groups=_groups(definition.instances or (Instances(cpu=1) if python else None)),
        decoupled=signature.decoupled,
    )
    where = definition.where
    if isinstance(definition, PythonModel):
        code = code_of(definition)
        text = tuple(sorted(spec.name for spec in (*signature.inputs, *signature.outputs) if spec.text))
        shim = replace(code.shim, attribute=definition.variable, text=text)
        return Model(config=config, signature=signature, where=where, code=replace(code, shim=shim))
    return Model(config=config, signature=signature, where=where, files=definition.files)


def _batching(definition: PythonModel[..., object] | WeightsModel) -> Batching | None:
    if definition.signature.batched:
        return definition.batching or Batching()
    if definition.batching is not None:
        raise DiagnosticError(
            [
                Diagnostic(
                    "TF111",
                    definition.where,
                    "batching is set, but its tensors have no batch dimension",
                    'begin every annotation with "batch", or leave batching out',
                )
            ]
        )
    return None


def _groups(instances: Instances | None) -> tuple[InstanceGroup, ...]:
    if instances is None:
        return ()
    cpu = (InstanceGroup("KIND_CPU", instances.cpu),) if instances.cpu else ()
    gpu = (InstanceGroup("KIND_GPU", instances.gpu, instances.gpus),) if instances.gpu else ()
    return cpu + gpu


def _largest_batch(
    name: str, signature: Signature, graphs: dict[str, Graph], sizes: dict[str, int], above: tuple[str, ...] = ()
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
