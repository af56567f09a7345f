"""The options of a definition → its configuration, and the files that lie beside it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from tritonforge import pbtxt
from tritonforge.define import Definition, Options, Pipeline, PythonModel, Tensor, WeightsModel
from tritonforge.define.settings import Setting
from tritonforge.define.settings.explanations import WHERE_TOLD
from tritonforge.errors import Diagnostic, DiagnosticError
from tritonforge.ir import Ensemble, File, Model, ModelConfig, TensorConfig
from tritonforge.lower.data_files import carry_states, distinct
from tritonforge.lower.extra import check_extra
from tritonforge.lower.tensors import label_files, refine_tensor
from tritonforge.lower.warmups import lower_warmups

__all__ = ["apply_options", "parameter_texts"]

PLAIN = (
    "version_policy", "optimization", "sequence_batching", "response_cache", "decoupled", "agents", "op_libraries",
    "metrics", "metric_tags", "cc_model_filenames", "default_model_filename", "runtime", "batch_inputs",
    "batch_outputs", "instance_groups",
)  # fmt: skip
"""Options whose field of the configuration has the same name."""

NOT_OF_ENSEMBLES = ("optimization", "sequence_batching", "warmup", "instance_groups")


def apply_options(model: Model, definition: Definition[..., Any]) -> Model:
    """Give the model of a definition with the definition's options.

    Raises:
        DiagnosticError: an option names what isn't there, or what such a model can't have.
    """
    options = definition.options
    if options == Options():
        return model
    config = model.config
    faults = [*_impossible(config, options), *_unknown_tensors(config, options), *check_extra(definition)]
    faults += [*_wrong_stream(definition), *_cached_blindly(definition)]
    if isinstance(definition, WeightsModel) and definition.kind == "onnx":
        faults += _ragged(options)
    found = [Diagnostic(code, definition.where, text, hint) for code, text, hint in faults]
    try:
        warmups, written = lower_warmups(definition, config.max_batch_size) if config.ensemble is None else ((), ())
    except DiagnosticError as error:
        found += error.diagnostics
    if found:
        raise DiagnosticError(found)
    options, states = _with_states(definition)
    config = replace(
        config,
        **{**_default_instances(definition), **_plain(options)},
        inputs=_tensors(config.inputs, options.tensors),
        outputs=_tensors(config.outputs, options.tensors),
        dynamic_batching=None if options.sequence_batching else config.dynamic_batching,
        ensemble=_limited(config.ensemble, options.max_inflight_requests),
        parameters=tuple(sorted({**dict(config.parameters), **parameter_texts(options.parameters)}.items())),
        warmups=warmups,
        extra=json.dumps(options.extra, sort_keys=True) if options.extra else "",
    )
    try:
        pbtxt.to_message(config)
    except ValueError as error:
        raise DiagnosticError(
            [Diagnostic("TF115", definition.where, f"Triton has no place for it: {error}", WHERE_TOLD)]
        ) from error
    labels = label_files(options.tensors)
    return replace(model, config=config, beside=(*model.beside, *distinct(definition, (*written, *states)), *labels))


def _with_states(definition: Definition[..., Any]) -> tuple[Options, tuple[File, ...]]:
    """Give the options with the files of initial states as they are named in the built model, and the files."""
    options = definition.options
    if options.sequence_batching is None:
        return options, ()
    batching, files = carry_states(definition, options.sequence_batching)
    return options.model_copy(update={"sequence_batching": batching}), files


def _plain(options: Options) -> dict[str, Any]:
    """Give the fields that are set, each as its record."""
    given = {name: getattr(options, name) for name in PLAIN}
    return {name: _record(value) for name, value in given.items() if value is not None and value not in ((), {}, "")}


def _default_instances(definition: Definition[..., Any]) -> dict[str, Any]:
    """Leave out the copies that nobody has asked for where `extra` has some."""
    chosen = getattr(definition, "instances", None) is not None or definition.options.instance_groups
    return {"instance_groups": ()} if "instance_group" in definition.options.extra and not chosen else {}


def _record(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple(sorted(value.items()))
    if isinstance(value, tuple):
        return tuple(map(_record, value))
    return value.lower() if isinstance(value, Setting) else value


def parameter_texts(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Write parameters as Triton's backends read them: true, not True."""
    return {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in parameters.items()}


def _limited(ensemble: Ensemble | None, limit: int | None) -> Ensemble | None:
    return replace(ensemble, max_inflight_requests=limit) if ensemble is not None and limit is not None else ensemble


def _tensors(configs: Iterable[TensorConfig], tensors: Mapping[str, Tensor]) -> tuple[TensorConfig, ...]:
    return tuple(
        refine_tensor(config, tensors[config.name]) if config.name in tensors else config for config in configs
    )


def _impossible(config: ModelConfig, options: Options) -> list[tuple[str, str, str]]:
    """Say which options such a model can't have."""
    if config.sequence_batching is not None and options.sequence_batching is not None:
        return [("TF114", "sequence and sequence_batching are both set", "leave one of them out")]
    if config.ensemble is None:
        limited = options.max_inflight_requests is not None
        reason = "max_inflight_requests is set, but it is no ensemble"
        return [("TF114", reason, "leave it out, or set it on a pipeline that becomes an ensemble")] if limited else []
    wrong = [name for name in NOT_OF_ENSEMBLES if getattr(options, name)]
    hint = 'set it on its models, or take lowering="fused"'
    return [("TF217", f"an ensemble has no {name} of its own", hint) for name in wrong]


def _wrong_stream(definition: Definition[..., Any]) -> list[tuple[str, str, str]]:
    """Say where `decoupled` isn't what a function does: each of its calls would fail."""
    asked = definition.options.decoupled
    if not isinstance(definition, Pipeline | PythonModel) or asked in (None, definition.signature.decoupled):
        return []
    if asked and isinstance(definition, Pipeline):
        return [("TF114", "decoupled is set, but a pipeline answers once", "leave it out")]
    if asked:
        hint = "yield the results, annotated Iterator[…]: a generator is decoupled by itself"
        return [("TF114", "decoupled is set, but the function returns once", hint)]
    return [("TF114", "decoupled=False is set, but it yields, as a stream does", "leave it out, or return once")]


def _cached_blindly(definition: Definition[..., Any]) -> list[tuple[str, str, str]]:
    """Say where a cache would give one request the answer to another, which says something else beside its inputs."""
    if not definition.options.response_cache or not definition.signature.request_parameters:
        return []
    reason = f"response_cache is set, but {definition.signature.request_parameters} takes the request's parameters"
    return [("TF114", reason, "leave it out: Triton caches by the inputs alone; or make what they say an input")]


def _ragged(options: Options) -> list[tuple[str, str, str]]:
    """Say what keeps `onnx()` from ragged batches: its graph would have no batch dimension to read a signature by."""
    found = [f'its input "{name}" is ragged' for name, tensor in options.tensors.items() if tensor.allow_ragged_batch]
    found += ["it has batch_inputs"] if options.batch_inputs else []
    hint = (
        "serve its folder with model_files(), whose inputs= and outputs= say what Triton is told: "
        'inputs={"x": Tensor(data_type="FP32", dims=(-1,), allow_ragged_batch=True)}'
    )
    return [("TF114", f"{each}, but a graph that takes requests end to end has no batch", hint) for each in found]


def _unknown_tensors(config: ModelConfig, options: Options) -> list[tuple[str, str, str]]:
    inputs, outputs = ({tensor.name for tensor in side} for side in (config.inputs, config.outputs))
    faults = []
    for name, tensor in options.tensors.items():
        if name not in inputs | outputs:
            known = ", ".join(sorted(inputs | outputs))
            faults.append(("TF114", f'tensors names "{name}", which it hasn\'t', f"its tensors are {known}"))
        elif name not in outputs and (tensor.labels or tensor.label_filename):
            faults.append(("TF114", f'input "{name}" has labels', "only outputs have labels"))
        elif name not in inputs and (tensor.optional or tensor.format != "none" or tensor.allow_ragged_batch):
            faults.append(("TF114", f'output "{name}" is optional, ragged, or has a format', "only inputs can be"))
    return faults
