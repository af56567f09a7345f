"""Models that Triton's Python backend runs: functions, classes, and the bodies of pipelines."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from tritonforge.define import Definition, ModelFiles, Pipeline, PythonModel, WeightsModel
from tritonforge.define.calls import named_models
from tritonforge.errors import Diagnostic, DiagnosticError
from tritonforge.ir import Code, File, Graph, Model, Part, shared_dims
from tritonforge.lower.configuration import configure
from tritonforge.lower.options import parameter_texts

__all__ = ["lower_body", "lower_function"]


def lower_function(definition: PythonModel[..., Any], code: Code) -> Model:
    """Lower a function or class; `code` is what its module needs."""
    return Model(
        config=configure(definition),
        signature=definition.signature,
        where=definition.where,
        code=_told(_reaching(definition, code), definition),
    )


def _told(code: Code, definition: PythonModel[..., Any]) -> Code:
    shim = replace(
        code.shim,
        padding=definition.padding,
        dims=shared_dims(definition.signature, but={dim.name for dim in definition.padding}),
        sequence=definition.sequence is not None,
        parts=tuple(_within(definition)),
    )
    return replace(code, shim=shim)


def _within(definition: Definition[..., Any]) -> list[Part]:
    """Find what a model's own code calls, also by way of each other.

    Models must be told of their tensors, to be checked, and to pad, there as where they are served. What can't be
    served at all is told where it is defined; a sequence model keeps its state to itself.
    """
    found: dict[int, Definition[..., Any]] = {}
    waiting = [definition]
    for one in waiting:  # grows while it is walked
        target = one.target if isinstance(one, PythonModel) else one.body if isinstance(one, Pipeline) else None
        for model in named_models(target) if target is not None else ():
            if id(model) not in found:
                found[id(model)] = model
                waiting.append(model)
    parts: list[Part] = []
    for one in found.values():
        with suppress(DiagnosticError):
            if isinstance(one, Pipeline):
                parts += _inner(one, nested=True)
            elif isinstance(one, PythonModel) and one.variable and one.sequence is None:
                parts.append(_nested(one))
    return parts


def _inner(pipeline: Pipeline[..., Any], *, nested: bool = False) -> list[Part]:
    """Make a pipeline whose body other code calls a part, where that may leave out one of its arguments."""
    signature = pipeline.signature
    whole = not signature.request_parameters and not any(spec.optional for spec in signature.inputs)
    if not pipeline.variable or whole:
        return []
    return [Part(pipeline.module, pipeline.variable, pipeline.name, signature, nested=nested)]


def _part(model: PythonModel[..., Any]) -> Part:
    """Make a model that runs beside a body a part of it."""
    dims = shared_dims(model.signature, but={dim.name for dim in model.padding})
    return Part(model.module, model.variable, model.name, model.signature, padding=model.padding, dims=dims)


def _nested(model: PythonModel[..., Any]) -> Part:
    return replace(_part(model), nested=True)


def _with_weights(part: Part, model: WeightsModel) -> Part:
    optimization = model.options.optimization
    return replace(
        part,
        path=f"weights/{model.name}/model.onnx",
        parameters=tuple(sorted(parameter_texts(model.options.parameters).items())),
        level=(optimization.graph_level if optimization else None) or 0,
    )


def lower_body(
    definition: Pipeline[..., Any],
    graph: Graph | None,
    called: Iterable[Definition[..., Any]],
    *,
    remote: bool,
    stacked: bool,
    largest_batch: int,
    code: Code,
) -> Model:
    """Lower a pipeline to one Python model in which its body runs.

    `called` are the models that it calls. They run beside the body (fused), or are `remote`, where Triton serves them
    (bls). Where it is not `stacked`, the body runs for each request by itself, as it may branch on what is in it.

    Raises:
        DiagnosticError: one of them can't be called there.
    """
    parts: list[Part] = []
    files: list[File] = []
    called = tuple(called)
    for model in called:
        if isinstance(model, Pipeline):
            if not remote:
                _require_no_calls(definition, model)
            parts += _inner(model)
            continue
        _require_variable(definition, model)
        if isinstance(model, ModelFiles) and not remote:
            raise _not_beside(definition, model, "is files that only Triton runs")
        if isinstance(model, PythonModel) and not remote:
            parts.append(_part(model))
            continue
        dims = shared_dims(model.signature) if remote else ()
        part = Part(model.module, model.variable, model.name, model.signature, remote=remote, dims=dims)
        if isinstance(model, WeightsModel) and not remote:
            files += _weights(definition, model)
            part = _with_weights(part, model)
        parts.append(part)
    if not remote:
        within = {part.name: part for one in called if isinstance(one, PythonModel) for part in _within(one)}
        parts += [part for name, part in within.items() if name not in {part.name for part in parts}]
    dims = shared_dims(definition.signature)
    reaching = _reaching(definition, replace(code, files=(*code.files, *files)))
    return Model(
        config=configure(definition, largest_batch=largest_batch),
        signature=definition.signature,
        where=definition.where,
        code=replace(reaching, shim=replace(reaching.shim, parts=tuple(parts), stacked=stacked, dims=dims)),
        graph=graph,
    )


def _reaching(definition: Definition[..., Any], code: Code) -> Code:
    """Tell the shim which variable of the module to serve, and of its tensors what no configuration says."""
    signature = definition.signature
    text, text_outputs = (
        tuple(sorted(spec.name for spec in specs if spec.text)) for specs in (signature.inputs, signature.outputs)
    )
    spelled = tuple(
        (spec.name, spec.describe(batched=signature.batched)) for spec in signature.outputs if -1 in spec.sizes
    )
    shim = replace(
        code.shim,
        attribute=definition.variable,
        text=text,
        text_outputs=text_outputs,
        spelled=spelled,
        request_parameters=signature.request_parameters,
    )
    return replace(code, shim=shim)


def _weights(pipeline: Pipeline[..., Any], model: WeightsModel) -> list[File]:
    """Give the files of a model that runs beside a pipeline's body, in a folder of their own."""
    if model.kind != "onnx":
        raise _not_beside(pipeline, model, "is no ONNX graph")
    return [replace(file, path=f"weights/{model.name}/{file.path}") for file in model.files]


def _not_beside(pipeline: Pipeline[..., Any], model: Definition[..., Any], reason: str) -> DiagnosticError:
    text = f"{model.name} {reason}, so that it can't run inside a fused pipeline"
    return DiagnosticError([Diagnostic("TF216", pipeline.where, text, 'take lowering="ensemble" or "bls"')])


def _require_variable(pipeline: Pipeline[..., Any], model: Definition[..., Any]) -> None:
    if not model.variable:
        reason = f"{model.name} is held by no variable of its module, so that the body can't find it inside Triton"
        raise DiagnosticError([Diagnostic("TF108", pipeline.where, reason, "assign it at the top of the module")])


def _require_no_calls(pipeline: Pipeline[..., Any], inner: Pipeline[..., Any]) -> None:
    """Refuse a body that calls models of Triton's inside one that runs them itself."""
    if inner.lowering == "bls":
        reason = f"{inner.name} is a bls pipeline, which calls its models where Triton serves them"
        raise DiagnosticError([Diagnostic("TF216", pipeline.where, reason, 'take lowering="bls" for both')])
