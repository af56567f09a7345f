"""scikit-learn estimators, converted to ONNX by skl2onnx when they are first needed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from typing_extensions import Unpack

from tritonforge import dtypes
from tritonforge.define.annotations import ParsedTensor
from tritonforge.define.factories import make
from tritonforge.define.origin import caller
from tritonforge.define.settings import Batching, Instances, OptionArguments
from tritonforge.define.signature import parse_tensors
from tritonforge.define.sklearn_answers import scores
from tritonforge.define.sklearn_check import Check
from tritonforge.define.sklearn_mends import CLASS
from tritonforge.define.sklearn_text import conversion_options, first_step, is_vectorizer, vectorizers
from tritonforge.define.weights import Annotations, OnnxModel
from tritonforge.errors import Diagnostic, DiagnosticError
from tritonforge.ir import TensorSpec

if TYPE_CHECKING:
    import onnx

__all__ = ["sklearn"]

TARGET_OPSET = {"": 18, "ai.onnx.ml": 3}
"""ONNX operator sets of converted estimators: ones that every runtime since Triton 23.08 has."""


def sklearn(
    estimator: Any,
    *,
    inputs: Annotations | None = None,
    outputs: Sequence[str] | None = None,
    batching: Batching | None = None,
    instances: Instances | None = None,
    name: str | None = None,
    **options: Unpack[OptionArguments],
) -> OnnxModel:
    """Serve a fitted scikit-learn estimator (or pipeline of them) as ONNX.

    A classifier gives `label` and `probability`, or `score` where it has a decision function only, as detectors of
    outliers have; a clusterer gives `label` and `distance`, everything else gives `output`. Eager calls run the
    converted graph, which is what is served: it computes in float32, where the estimator itself may compute in float64.

    Args:
        estimator: the fitted estimator, or a function of no arguments that gives it (then no server imports
            scikit-learn for the sake of this line).
        inputs: annotations by input name; by default `features`, Float32[batch, n_features_in_]. An estimator of texts
            wants them: `{"text": String[np.ndarray, "batch"]}`.
        outputs: other names for the outputs, in order.
        batching: how requests are batched.
        instances: how many copies run; by default Triton decides.
        name: the model's name; by default that of the variable.
        options: the rest of the configuration: `response_cache`, `warmup`, `version_policy`, …; see `Options`.
    """
    return OnnxModel(
        partial(_convert, estimator, inputs, outputs),
        origin=caller(),
        name=name,
        batching=batching,
        instances=instances,
    ).configured(options)


def _convert(estimator: Any, inputs: Annotations | None, outputs: Sequence[str] | None, model: OnnxModel) -> bytes:
    try:
        from skl2onnx import convert_sklearn
    except ModuleNotFoundError as error:
        raise _failed(model, f"{error.name} is not installed", "pip install 'tritonforge[sklearn]'") from error
    fitted = make(estimator, model.where) if _is_factory(estimator) else estimator
    if not any(hasattr(fitted, method) for method in ("get_params", "predict", "transform")):
        reason = f"it is of type {type(fitted).__name__}, which is no estimator"
        raise _failed(model, reason, "give a fitted estimator, or a function of no arguments that gives one")
    taken = _taken(fitted, inputs, model)
    convert = partial(
        convert_sklearn,
        fitted,
        name=model.name or type(fitted).__name__,
        initial_types=_initial_types(taken, model),
        target_opset=TARGET_OPSET,
    )
    options: dict[Any, Any] = {id(one): conversion_options(one) for one in vectorizers(fitted)}
    plain = {id(fitted): {"zipmap": False}} if hasattr(fitted, "predict_proba") or _is_classifier(fitted) else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # skl2onnx tells of deprecations of its own dependencies
            try:
                proto: onnx.ModelProto = convert(options=options | plain)
            except NameError:  # LinearSVC has no such option, and gives tensors anyway
                proto = convert(options=options)
    except DiagnosticError:
        raise
    except (Exception, SystemExit) as error:
        reason = f"skl2onnx can't convert {type(fitted).__name__}: {type(error).__name__}: {error}"
        raise _failed(model, reason, f"see skl2onnx's list of supported estimators; or {CLASS}") from error
    found = [info.name for info in proto.graph.output]
    if lists := [info.name for info in proto.graph.output if not info.type.HasField("tensor_type")]:
        reason = (
            f'the graph that skl2onnx makes of {type(fitted).__name__} gives "{lists[0]}" as a list, not as a tensor'
        )
        raise _failed(model, reason, CLASS)
    if outputs is not None and (isinstance(outputs, str) or not isinstance(outputs, Sequence)):
        raise _failed(model, f"outputs= is {outputs!r}, of type {type(outputs).__name__}", 'write outputs=["label"]')
    wanted = list(outputs or _names(fitted, found))
    if len(wanted) != len(found):
        given = f"{len(wanted)} name{'s'[: len(wanted) != 1]}"
        raise _failed(model, f"outputs= gives {given}, but it has {len(found)}", "give one name for each")
    _rename(proto.graph, dict(zip(found, wanted, strict=True)))
    proto.opset_import.sort(key=lambda opset: opset.domain)  # skl2onnx 1.20 leaves them in the order of a set
    content = bytes(proto.SerializeToString(deterministic=True))
    check = Check(fitted, [one.spec for one in taken], model.options.examples, model.where)
    model.remarks = tuple(check(content, wanted, batched=all(one.batched for one in taken)))
    return content


def _names(fitted: Any, found: Sequence[str]) -> Sequence[str]:
    """Name a graph's outputs after what the estimator gives."""
    if len(found) == 2:
        return ["label", scores(fitted)[0] or found[1]]
    return ["output"] if len(found) == 1 else found


def _is_factory(estimator: Any) -> bool:
    return isinstance(estimator, Callable) and not hasattr(estimator, "get_params")  # type: ignore[arg-type]


def _taken(fitted: Any, inputs: Annotations | None, model: OnnxModel) -> tuple[ParsedTensor, ...]:
    """Say what an estimator takes, by its own word where nothing is declared."""
    features = getattr(fitted, "n_features_in_", None)
    if inputs is None:
        if features is None:
            raise _failed(model, *_undeclared(fitted))
        return (ParsedTensor(TensorSpec("features", "FP32", (int(features),)), batched=True),)
    parsed = parse_tensors(inputs, "input", model.name, model.where)
    if len(parsed) == 1 and features is not None and parsed[0].batched and len(parsed[0].spec.dims) == 1:
        spec = parsed[0].spec
        if isinstance(spec.dims[0], int) and spec.dims[0] != features:
            where = model.where.at(f'{model.name}, input "{spec.name}"')
            reason = f"{spec.dims[0]} features are declared; {type(fitted).__name__} takes {features} (n_features_in_)"
            annotation = dtypes.DTYPES[spec.datatype].annotation
            hint = f'declare {annotation}[np.ndarray, "batch {features}"], or leave inputs= out'
            raise DiagnosticError([Diagnostic("TF303", where, reason, hint)])
    return parsed


def _initial_types(taken: Sequence[ParsedTensor], model: OnnxModel) -> list[tuple[str, Any]]:
    from skl2onnx.common import data_types

    by_dtype = {
        "BOOL": "Boolean", "INT32": "Int32", "INT64": "Int64", "FP32": "Float", "FP64": "Double", "BYTES": "String"
    }  # fmt: skip
    types = []
    for parsed in taken:
        kind = by_dtype.get(parsed.spec.datatype)
        if kind is None:
            annotation = dtypes.DTYPES[parsed.spec.datatype].annotation
            raise _failed(model, f'input "{parsed.spec.name}" is {annotation}', "skl2onnx takes Float32 and a few more")
        shape = [None if isinstance(dim, str) else dim for dim in (("batch",) * parsed.batched + parsed.spec.dims)]
        types.append((parsed.spec.name, getattr(data_types, f"{kind}TensorType")(shape)))
    return types


def _undeclared(estimator: Any) -> tuple[str, str]:
    """Say why an estimator's inputs aren't known, and how to mend that."""
    name = type(estimator).__name__
    if not _is_fitted(estimator):
        reason = f"{name} is not fitted, or doesn't say how many features it takes"
        return reason, "fit it first, or declare inputs={…}"
    first = first_step(estimator)
    if is_vectorizer(first):
        taken = "text" if first is estimator else f"text, by its {type(first).__name__}"
        return f"{name} is fitted, but takes {taken}", 'declare inputs={"text": String[np.ndarray, "batch"]}'
    reason = f"{name} is fitted, but doesn't say how many features it takes"
    return reason, 'declare them, where it takes 4: inputs={"features": Float32[np.ndarray, "batch 4"]}'


def _is_fitted(estimator: Any) -> bool:
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(estimator)
    except Exception:  # whatever an estimator of others raises
        return False
    return True


def _is_classifier(estimator: Any) -> bool:
    from sklearn.base import is_classifier

    try:
        return bool(is_classifier(estimator))
    except Exception:  # whatever an estimator of others raises
        return False


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Give a graph's outputs other names, wherever they stand; what has one of those inside gets another."""
    used = {name for node in graph.node for name in (*node.input, *node.output)}
    names = dict(names)
    for name in sorted(used.intersection(names.values()) - names.keys()):
        free = name
        while free in used or free in names.values():
            free += "_"
        names[name] = free
    for info in graph.output:
        info.name = names[info.name]
    _rename_values(graph, names)


def _rename_values(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    for one in (*graph.initializer, *graph.value_info):
        one.name = names.get(one.name, one.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        for attribute in node.attribute:
            for inner in (*((attribute.g,) if attribute.HasField("g") else ()), *attribute.graphs):
                own = {name for one in inner.node for name in one.output}
                own.update(one.name for one in (*inner.input, *inner.initializer))
                _rename_values(inner, {old: new for old, new in names.items() if old not in own})


def _failed(model: OnnxModel, message: str, hint: str) -> DiagnosticError:
    return DiagnosticError([Diagnostic("TF304", model.where, message, hint)])
