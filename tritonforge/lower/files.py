"""Model folders that are carried as they are → a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tritonforge.define import ModelFiles, Tensor
from tritonforge.ir import Model, ModelConfig, TensorConfig
from tritonforge.lower.options import apply_options
from tritonforge.lower.tensors import label_files, refine_tensor

__all__ = ["lower_files"]


def lower_files(definition: ModelFiles) -> Model:
    """Lower a model folder, with its options.

    Raises:
        DiagnosticError: a file is missing, or an option can't be.
    """
    batching, instances = definition.batching, definition.instances
    config = ModelConfig(
        name=definition.name,
        max_batch_size=definition.max_batch_size,
        inputs=_tensors(definition.inputs),
        outputs=_tensors(definition.outputs),
        backend=definition.backend,
        platform=definition.platform,
        dynamic_batching=batching.lower() if batching and batching.dynamic else None,
        instance_groups=tuple(group.lower() for group in instances.groups()) if instances else (),
        ensemble=definition.ensemble.lower() if definition.ensemble else None,
    )
    model = Model(config=config, signature=definition.signature, where=definition.where, declared=True)
    labels = {file.path: file for file in label_files(definition.outputs)}
    carried = tuple(file for file in definition.beside if file.path not in labels)
    beside = (*carried, *labels.values())
    model = replace(model, files=definition.files, beside=beside, version=definition.version)
    return apply_options(model, definition)


def _tensors(tensors: Mapping[str, Tensor]) -> tuple[TensorConfig, ...]:
    return tuple(refine_tensor(TensorConfig(name, "TYPE_INVALID", ()), tensor) for name, tensor in tensors.items())
