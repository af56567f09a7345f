"""The signature of a Python function: its parameters are inputs, what it returns is outputs."""

from __future__ import annotations

import collections.abc
import functools
import inspect
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tritonforge.define.annotations import InexpressibleAnnotation, ParsedTensor, is_tensor, parse_tensor
from tritonforge.define.request_parameters import takes_request_parameters
from tritonforge.define.streams import input_returned
from tritonforge.errors import Diagnostic, DiagnosticError, Where
from tritonforge.ir import Signature, TensorSpec

__all__ = ["ParsedFunction", "Returns", "parse_function", "parse_tensors"]

_STREAMS = (collections.abc.Iterator, collections.abc.Generator, collections.abc.Iterable)
_ASYNC_STREAMS = (collections.abc.AsyncIterator, collections.abc.AsyncGenerator, collections.abc.AsyncIterable)
_SCALARS = {bool: "Bool", int: "Int64", float: "Float32", str: "String", bytes: "Bytes"}
"""The tensors that hold Python's plain values."""


@dataclass(frozen=True, slots=True)
class Returns:
    """How a function hands over its outputs: one array, a plain tuple, or a NamedTuple of the class `fields`."""

    kind: Literal["single", "tuple", "named"]
    fields: Callable[..., Any] | None = None

    def pack(self, outputs: Mapping[str, Any]) -> Any:
        """Put outputs into the function's own form."""
        values = tuple(outputs.values())
        if self.kind == "single":
            return values[0]
        return values if self.fields is None else self.fields(**outputs)

    def unpack(self, result: Any, names: tuple[str, ...]) -> dict[str, Any]:
        """Take a function's result apart as the runtime does: a tuple in the order of the outputs, a mapping by their
        names, or the one value of a single output.

        Raises:
            ValueError: it isn't of such a form, or of another length or other names.
        """
        if isinstance(result, Mapping):
            if result.keys() != set(names):
                raise ValueError(f"a mapping of {', '.join(map(str, result))} was returned; wanted {', '.join(names)}")
            return {name: result[name] for name in names}
        if not isinstance(result, tuple):
            if len(names) == 1:
                return {names[0]: result}
            found = type(result).__name__
            raise ValueError(f"a {found} was returned; wanted a tuple of {len(names)} values ({', '.join(names)})")
        if len(result) != len(names):
            found = "1 value was" if len(result) == 1 else f"{len(result)} values were"
            raise ValueError(f"{found} returned; wanted {len(names)} ({', '.join(names)})")
        return dict(zip(names, result, strict=True))


@dataclass(frozen=True, slots=True)
class ParsedFunction:
    """A function as read: its signature, and the form of what it returns.

    `internal` are the annotations of the parameters that the model itself gives, by their names.
    """

    signature: Signature
    returns: Returns
    internal: Mapping[str, Any] = field(default_factory=dict)


def parse_function(
    function: Callable[..., Any], name: str, where: Where, *, internal: Collection[str] = ()
) -> ParsedFunction:
    """Read the signature of a function whose parameters and result are annotated with jaxtyping.

    A parameter that has a default other than None and no tensor annotation is not an input: it keeps its default. Nor
    are those that `internal` names, nor the one, after the inputs, that is annotated with RequestParameters.

    Raises:
        DiagnosticError: everything in it that Triton can't express, collected.
    """
    found: list[Diagnostic] = []
    try:
        hints = typing.get_type_hints(_annotated(function), include_extras=True)
    except Exception as error:
        raise DiagnosticError(
            [
                Diagnostic(
                    "TF102",
                    where.at(name),
                    f"its annotations can't be evaluated: {type(error).__name__}: {error}",
                    "import the names that it uses at the top of the module, outside of functions",
                )
            ]
        ) from error
    parameters = inspect.signature(function).parameters.values()
    told = [one.name for one in parameters if takes_request_parameters(hints.get(one.name))]
    inputs = _inputs([one for one in parameters if one.name not in {*internal, *told}], hints, name, where, found)
    names = [parsed.spec.name for parsed in inputs]
    found += _misplaced(told, names, [one.name for one in parameters], where.at(name))
    found += _told_by_default([one for one in parameters if one.name in told], where.at(name))
    returned, decoupled = _stream(hints.get("return", inspect.Signature.empty))
    if "return" in hints:
        found += _mistaken_stream(inspect.unwrap(function), hints["return"], where.at(name), decoupled=decoupled)
    if decoupled and (once := input_returned(function, {parsed.spec.name for parsed in inputs})):
        reason = f'it is annotated as a stream, but returns its input "{once}", which is no iterator'
        hint = "yield its results, or take Iterator[…] off the annotation"
        found.append(Diagnostic("TF110", where.at(name), reason, hint))
    returns, outputs = _outputs(returned, name, where, found)
    batched = _agree_on_batch([*inputs, *outputs], name, where, found)
    if found:
        raise DiagnosticError(found)
    specs = tuple(parsed.spec for parsed in inputs), tuple(parsed.spec for parsed in outputs)
    given = {one.name: hints.get(one.name, one.empty) for one in parameters if one.name in internal}
    signature = Signature(*specs, batched=batched, decoupled=decoupled, request_parameters="".join(told))
    return ParsedFunction(signature, returns, given)


def _told_by_default(told: Iterable[inspect.Parameter], where: Where) -> Iterator[Diagnostic]:
    """Say that the request's parameters have a default, which no function gets: of nothing it gets an empty mapping."""
    for one in told:
        if one.default is not one.empty and one.default:
            reason = f'"{one.name}" has a default, and a request without parameters gives an empty mapping'
            hint = f'leave it out, and take each value with its own: {one.name}.get("…", …)'
            yield Diagnostic("TF110", where, reason, hint)


def _misplaced(
    told: Sequence[str], inputs: Sequence[str], parameters: Sequence[str], where: Where
) -> Iterator[Diagnostic]:
    """Say where the request's parameters are taken twice, or before the inputs."""
    if len(told) > 1:
        hint = "take them once"
        yield Diagnostic("TF110", where, f"it takes the request's parameters as {' and as '.join(told)}", hint)
    for name in told:
        after = [one for one in inputs if parameters.index(one) > parameters.index(name)]
        if after:
            hint = f"write {name} last, so that the arguments of a call are the inputs first"
            yield Diagnostic("TF110", where, f'it takes the request\'s parameters before its input "{after[0]}"', hint)


def _mistaken_stream(function: Any, annotation: Any, where: Where, *, decoupled: bool) -> list[Diagnostic]:
    """Say where a function yields and its annotation doesn't say so, or the other way round."""
    waits = inspect.isasyncgenfunction(function)
    right = "AsyncIterator[…]" if waits else "Iterator[…]"
    if inspect.isgeneratorfunction(function) or waits:
        if not decoupled:
            return [Diagnostic("TF110", where, "it yields, but is annotated to return once", f"annotate {right}")]
        if (typing.get_origin(annotation) in _ASYNC_STREAMS) != waits:
            kind = "an async" if waits else "a plain"
            return [
                Diagnostic("TF110", where, f"it is {kind} generator, and its annotation is not", f"annotate {right}")
            ]
    elif decoupled and inspect.iscoroutinefunction(function):
        return [Diagnostic("TF110", where, "it is annotated as a stream, but doesn't yield", "yield its results")]
    return []


def _annotated(function: Any) -> Any:
    """Find the function that has the annotations: below decorators, `functools.partial` and objects with `__call__`."""
    while True:
        inner = inspect.unwrap(function)
        if isinstance(inner, functools.partial):
            function = inner.func
        elif not inspect.isroutine(inner) and callable(inner):
            function = type(inner).__call__
        else:
            return inner


def parse_tensors(
    annotations: Mapping[str, Any], kind: Literal["input", "output"], name: str, where: Where
) -> tuple[ParsedTensor, ...]:
    """Read annotations by tensor name, such as a weight file's `inputs=` and `outputs=`.

    Raises:
        DiagnosticError: those that Triton can't express.
    """
    if not isinstance(annotations, Mapping) or not all(isinstance(key, str) for key in annotations):
        reason = f"{kind}s= takes a dict of annotations by name; found {annotations!r}"
        hint = f'write {kind}s={{"x": Float32[np.ndarray, "batch 20"]}}'
        raise DiagnosticError([Diagnostic("TF117", where.at(name), reason, hint)])
    found: list[Diagnostic] = []
    parsed = [_tensor(key, value, kind, name, where, found) for key, value in annotations.items()]
    if found:
        raise DiagnosticError(found)
    return tuple(tensor for tensor in parsed if tensor is not None)


def _inputs(
    parameters: Iterable[inspect.Parameter],
    hints: Mapping[str, Any],
    name: str,
    where: Where,
    found: list[Diagnostic],
) -> list[ParsedTensor]:
    inputs = []
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            found.append(
                Diagnostic(
                    "TF110",
                    where.at(f'{name}, parameter "{parameter.name}"'),
                    "Triton's inputs are a fixed set of names; this parameter has none",
                    "write each input as a parameter of its own that can be given by keyword",
                )
            )
            continue
        annotation = hints.get(parameter.name, parameter.empty)
        constant = parameter.default is not parameter.empty and parameter.default is not None
        if constant and not is_tensor(annotation):
            continue
        if isinstance(annotation, type) and (scalar := _SCALARS.get(annotation)):
            found.append(_of_python(scalar, annotation, where.at(f'{name}, input "{parameter.name}"')))
            continue
        tensor = _tensor(parameter.name, annotation, "input", name, where, found)
        if tensor is not None and constant:
            found.append(
                Diagnostic(
                    "TF110",
                    where.at(f'{name}, input "{parameter.name}"'),
                    "a tensor's default can't be sent to Triton",
                    "make it optional: X | None = None, and put the default inside",
                )
            )
        if tensor is not None and parameter.default is None and not tensor.spec.optional:
            # CPython 3.10 reads such an annotation as an optional one.
            found.append(
                Diagnostic(
                    "TF110",
                    where.at(f'{name}, input "{parameter.name}"'),
                    "it is None by default, but isn't annotated as optional",
                    f"write {parameter.name}: … | None = None, or leave the default out",
                )
            )
        if tensor is not None:
            inputs.append(tensor)
    if not inputs and not found:
        found.append(Diagnostic("TF110", where.at(name), "it has no inputs", "a model takes at least one tensor"))
    return inputs


def _of_python(tensor: str, annotation: type, where: Where) -> Diagnostic:
    """Say how a parameter that is a plain value is written: as a tensor, or as no input."""
    hint = f'annotate it as {tensor}[np.ndarray, "batch"], one value a row; or give it a default: then it is no input'
    return Diagnostic("TF103", where, f"{annotation.__name__} is not a tensor", hint)


def _outputs(annotation: Any, name: str, where: Where, found: list[Diagnostic]) -> tuple[Returns, list[ParsedTensor]]:
    if isinstance(annotation, type) and issubclass(annotation, tuple) and hasattr(annotation, "_fields"):
        fields = typing.get_type_hints(annotation, include_extras=True)
        named = ((field, fields.get(field, inspect.Signature.empty)) for field in annotation._fields)
        return Returns("named", annotation), _tensors(named, name, where, found)
    if typing.get_origin(annotation) is tuple:
        members = typing.get_args(annotation)
        if members and Ellipsis not in members:
            numbered = ((f"output_{index}", member) for index, member in enumerate(members))
            return Returns("tuple"), _tensors(numbered, name, where, found)
    has_fields = isinstance(annotation, type) and inspect.get_annotations(annotation)
    if has_fields and not is_tensor(annotation) and not hasattr(annotation, "__array__"):
        return _no_outputs(annotation.__qualname__, annotation.__name__, name, where, found)
    kind = typing.get_origin(annotation) or annotation
    if isinstance(kind, type) and issubclass(kind, Mapping):
        return _no_outputs(kind.__name__, "Outputs", name, where, found)
    return Returns("single"), _tensors([("output", annotation)], name, where, found)


def _no_outputs(
    spelt: str, record: str, name: str, where: Where, found: list[Diagnostic]
) -> tuple[Returns, list[ParsedTensor]]:
    """Say of what has several values that a NamedTuple names the outputs."""
    hint = f"make it a NamedTuple, of a tensor a field: class {record}(NamedTuple)"
    reason = f"{spelt} is not a tensor, nor a NamedTuple of tensors"
    found.append(Diagnostic("TF103", where.at(f'{name}, output "output"'), reason, hint))
    return Returns("single"), []


def _tensors(
    annotations: Iterable[tuple[str, Any]], name: str, where: Where, found: list[Diagnostic]
) -> list[ParsedTensor]:
    parsed = (_tensor(key, annotation, "output", name, where, found) for key, annotation in annotations)
    return [tensor for tensor in parsed if tensor is not None]


def _tensor(
    key: str, annotation: Any, kind: str, name: str, where: Where, found: list[Diagnostic]
) -> ParsedTensor | None:
    subject = where.at(f'{name}, {kind} "{key}"')
    if annotation is inspect.Signature.empty:
        found.append(
            Diagnostic("TF102", subject, "has no annotation", 'annotate it: Float32[np.ndarray, "batch 20"], say')
        )
        return None
    try:
        parsed = parse_tensor(key, annotation)
    except InexpressibleAnnotation as error:
        found.append(Diagnostic("TF103", subject, error.message, error.hint))
        return None
    if kind == "output" and parsed.spec.optional:
        found.append(Diagnostic("TF103", subject, "an output can't be optional in Triton", "always return an array"))
    return parsed


def _stream(annotation: Any) -> tuple[Any, bool]:
    """Take the stream of `Iterator[X]` off: what it yields, and that it is decoupled."""
    if typing.get_origin(annotation) in (*_STREAMS, *_ASYNC_STREAMS) and typing.get_args(annotation):
        return typing.get_args(annotation)[0], True
    return annotation, False


def _agree_on_batch(tensors: list[ParsedTensor], name: str, where: Where, found: list[Diagnostic]) -> bool:
    """Hold all tensors to the same answer; Triton batches all of a model's tensors, or none."""
    batched = [tensor.spec for tensor in tensors if tensor.batched]
    fixed = [tensor.spec for tensor in tensors if not tensor.batched]
    if batched and fixed:
        found.append(
            Diagnostic(
                "TF104",
                where.at(name),
                f"{_quote(batched)} has a batch dimension, {_quote(fixed)} has none; Triton batches all of a model's "
                "tensors, or none",
                'begin every annotation with "batch", or none (give the dimension another name)',
            )
        )
    return bool(batched)


def _quote(specs: list[TensorSpec]) -> str:
    return ", ".join(f'"{spec.name}"' for spec in specs)
