"""Labels of a step's output → of the pipeline's output that it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tritonforge.ir import File, Graph, Model, Reference, StepRef
from tritonforge.lower.tensors import label_file

__all__ = ["inherit_labels"]


def inherit_labels(model: Model, graph: Graph, steps: Mapping[str, Model]) -> Model:
    """Give a fused or bls pipeline the labels that Triton finds by itself for an ensemble: those of its steps.

    Args:
        model: the pipeline, with its options; an output that has labels keeps them.
        graph: its flat graph.
        steps: the models that are lowered, by name.
    """
    made = dict(graph.outputs)
    found = {
        output.name: replace(file, path=label_file(output.name))
        for output in model.config.outputs
        if not output.label_filename and (file := _labels(made.get(output.name), graph, steps)) is not None
    }
    if not found:
        return model
    outputs = tuple(
        replace(output, label_filename=found[output.name].path) if output.name in found else output
        for output in model.config.outputs
    )
    return replace(model, config=replace(model.config, outputs=outputs), beside=(*model.beside, *found.values()))


def _labels(reference: Reference | None, graph: Graph, steps: Mapping[str, Model]) -> File | None:
    """Find the file of labels of what a step makes."""
    if not isinstance(reference, StepRef):
        return None
    step = steps.get(graph.steps[reference.step].model)
    if step is None:
        return None
    named = {output.label_filename for output in step.config.outputs if output.name == reference.output}
    return next((file for file in step.beside if file.path in named), None)
