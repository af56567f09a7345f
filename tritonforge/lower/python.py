"""Models that Triton's Python backend runs: functions, classes, and pipelines fused into one model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from tritonforge.define import Definition, Pipeline, PythonModel, WeightsModel
from tritonforge.errors import Diagnostic, DiagnosticError
from tritonforge.ir import Code, File, Graph, Model, Part
from tritonforge.lower.configuration import configure

__all__ = ["lower_function", "lower_fused"]


def lower_function(definition: PythonModel[..., Any], code: Code) -> Model:
    """Lower a function or class; `code` is what its module needs."""
    return Model(
        config=configure(definition),
        signature=definition.signature,
        where=definition.where,
        code=_reaching(definition, code),
    )


def lower_fused(
    definition: Pipeline[..., Any],
    graph: Graph,
    called: Iterable[Definition[..., Any]],
    *,
    largest_batch: int,
    code: Code,
) -> Model:
    """Lower a pipeline to one Python model in which its body runs; `called` are the models that it calls.

    Raises:
        DiagnosticError: one of them can't run there.
    """
    parts: list[Part] = []
    files: list[File] = []
    for model in called:
        path = ""
        if isinstance(model, WeightsModel):
            files += _weights(definition, model)
            path = f"weights/{model.name}/model.onnx"
        strings = [spec for spec in model.signature.inputs if spec.datatype == "BYTES"]
        parts.append(
            Part(
                model.module,
                model.variable,
                path,
                inputs=tuple(spec.name for spec in model.signature.inputs),
                outputs=tuple(spec.name for spec in model.signature.outputs),
                text=tuple(spec.name for spec in strings if spec.text),
                raw=tuple(spec.name for spec in strings if not spec.text),
            )
        )
    reaching = _reaching(definition, replace(code, files=(*code.files, *files)))
    return Model(
        config=configure(definition, largest_batch=largest_batch),
        signature=definition.signature,
        where=definition.where,
        code=replace(reaching, shim=replace(reaching.shim, parts=tuple(parts))),
        graph=graph,
    )


def _reaching(definition: Definition[..., Any], code: Code) -> Code:
    """Tell the shim which variable of the module to serve, and which of its BYTES tensors are text."""
    specs = (*definition.signature.inputs, *definition.signature.outputs)
    text = tuple(sorted(spec.name for spec in specs if spec.text))
    return replace(code, shim=replace(code.shim, attribute=definition.variable, text=text))


def _weights(pipeline: Pipeline[..., Any], model: WeightsModel) -> list[File]:
    """Give the files of a model that a fused pipeline calls, in a folder of their own."""
    if model.kind != "onnx" or not model.variable:
        reason = "is no ONNX graph" if model.variable else "is held by no variable of its module"
        raise DiagnosticError(
            [
                Diagnostic(
                    "TF216",
                    pipeline.where,
                    f"{model.name} {reason}, so that it can't run inside a fused pipeline",
                    'take lowering="ensemble"',
                )
            ]
        )
    return [replace(file, path=f"weights/{model.name}/{file.path}") for file in model.files]
