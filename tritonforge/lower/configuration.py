"""A definition's settings and signature → its `ModelConfig`."""

from __future__ import annotations

from typing import Any

from tritonforge.define import Batching, Instances, Pipeline, PythonModel, WeightsModel
from tritonforge.errors import Diagnostic, DiagnosticError
from tritonforge.ir import ModelConfig
from tritonforge.lower.sequences import schedule
from tritonforge.lower.tensors import configure_tensor

__all__ = ["configure"]

BACKENDS = {"onnx": "onnxruntime", "torchscript": "pytorch"}

Configurable = PythonModel[..., Any] | WeightsModel | Pipeline[..., Any]


def configure(definition: Configurable, *, largest_batch: int | None = None) -> ModelConfig:
    """Configure a model that runs by itself: weights on their backend, all else on the Python one.

    `largest_batch` is the largest batch where the definition doesn't say; by default that of `Batching()`.

    Raises:
        DiagnosticError: batching is set on a model without a batch dimension.
    """
    signature = definition.signature
    batching = _batching(definition, largest_batch)
    weights = isinstance(definition, WeightsModel)
    sequence = definition.sequence if isinstance(definition, PythonModel) else None
    # Python gets requests of different sizes together, and groups or pads them.
    ragged = signature.batched and not weights and not sequence
    instances = definition.instances or (None if weights else Instances(cpu=1))
    return ModelConfig(
        name=definition.name,
        backend=BACKENDS[definition.kind] if isinstance(definition, WeightsModel) else "python",
        max_batch_size=batching.max_batch_size if batching else 0,
        inputs=tuple(
            configure_tensor(spec, batched=signature.batched, ragged=ragged and -1 in spec.sizes)
            for spec in signature.inputs
        ),
        outputs=tuple(configure_tensor(spec, batched=signature.batched) for spec in signature.outputs),
        dynamic_batching=batching.lower() if batching and batching.dynamic and not sequence else None,
        sequence_batching=schedule(sequence, batching) if sequence else None,
        instance_groups=tuple(group.lower() for group in instances.groups()) if instances else (),
        decoupled=signature.decoupled or None,
        parameters=tuple(sorted(definition.parameters.items())) if isinstance(definition, PythonModel) else (),
    )


def _batching(definition: Configurable, largest_batch: int | None) -> Batching | None:
    if definition.signature.batched:
        default = Batching() if largest_batch is None else Batching(max_batch_size=largest_batch)
        return definition.batching or default
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
