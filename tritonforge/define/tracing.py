"""Tracing: a pipeline's body runs on symbols, and each call on one becomes a step of a graph."""

from __future__ import annotations

import contextvars
import difflib
import os
import traceback
from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol

from tritonforge.define.asynchronous import finish
from tritonforge.define.origin import caller
from tritonforge.define.signature import Returns
from tritonforge.errors import Diagnostic, DiagnosticError, Where
from tritonforge.ir import Graph, InputRef, Reference, Signature, Step, StepRef

__all__ = ["Symbol", "Traceable", "Traced", "active", "bind", "trace"]


class Traceable(Protocol):
    """What a definition shows of itself to be called in a pipeline."""

    @property
    def name(self) -> str: ...
    @property
    def signature(self) -> Signature: ...
    @property
    def returns(self) -> Returns: ...
    @property
    def asynchronous(self) -> bool: ...


class Symbol:
    """Stands for a tensor while a pipeline is traced. It can be passed to models and returned, and nothing else."""

    __slots__ = ("pipeline", "reference")

    def __init__(self, pipeline: str, reference: Reference) -> None:
        self.pipeline = pipeline
        self.reference = reference


@dataclass(frozen=True, slots=True)
class Unawaited:
    """A call of an async model while a pipeline is traced: it gives its symbols when it is awaited."""

    model: str
    outputs: Any

    def __await__(self) -> Generator[Any, None, Any]:
        yield from ()
        return self.outputs

    def __iter__(self) -> NoReturn:
        """Refuse to be taken apart, as several outputs are."""
        raise _Unwaited(*self.explain("takes apart"))

    def explain(self, use: str) -> tuple[str, str]:
        """Say what is wrong with a use of the call as if it were its result, and how to mend it."""
        reason = f"{use} a call of {self.model}, which is async, and isn't awaited"
        return reason, f"write `await {self.model}(…)` in an `async def` body"


class _Unwaited(TypeError):
    """A body uses the call of an async model as if it were its result: the message, and the hint."""


def _refuse(operation: str) -> Callable[..., NoReturn]:
    def refused(self: Symbol, *given: object) -> NoReturn:
        place = caller().where.at(self.pipeline)
        attribute = str(given[0]) if operation == _ATTRIBUTE and given else ""
        found = f'{operation}, "{attribute}"' if attribute else operation
        found = _NUMPY if attribute.startswith("__array") else found
        raise DiagnosticError(
            [
                Diagnostic(
                    "TF209",
                    place,
                    f"its body {found}; a pipeline only passes tensors between models",
                    'move the computation into a @model, or let the body run in the server: @pipeline(lowering="bls")',
                )
            ]
        )

    return refused


_ATTRIBUTE = "asks a tensor for an attribute"
_NUMPY = "hands a tensor to NumPy"
_REFUSED = {
    "branches or loops on a tensor's value": ("bool", "int", "float", "complex", "index", "contains"),
    "takes a tensor apart (a model with one output gives one tensor)": ("iter", "getitem"),
    "asks a tensor for its length": ("len",),
    _ATTRIBUTE: ("getattr",),
    "compares tensors": ("eq", "ne", "lt", "le", "gt", "ge"),
    _NUMPY: ("array", "array_ufunc", "array_function"),
    "computes with a tensor": (
        *("add", "sub", "mul", "truediv", "floordiv", "mod", "divmod", "pow", "matmul"),
        *("radd", "rsub", "rmul", "rtruediv", "rfloordiv", "rmod", "rdivmod", "rpow", "rmatmul"),
        *("and", "or", "xor", "lshift", "rshift", "rand", "ror", "rxor", "rlshift", "rrshift"),
        *("neg", "pos", "abs", "invert", "round", "setitem", "delitem"),
    ),
}
for _operation, _names in _REFUSED.items():
    for _name in _names:
        setattr(Symbol, f"__{_name}__", _refuse(_operation))
Symbol.__hash__ = object.__hash__  # type: ignore[method-assign]  # __eq__ above would take it away


@dataclass(frozen=True, slots=True)
class Traced:
    """A pipeline's graph, the model of each of its steps, and what was wrong with the calls."""

    graph: Graph
    models: tuple[Traceable, ...]
    diagnostics: tuple[Diagnostic, ...]


@dataclass
class Tracer:
    """Collects the steps of one pipeline while its body runs."""

    pipeline: str
    steps: list[Step] = field(default_factory=list)
    models: list[Traceable] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def call(self, model: Traceable, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Any:
        """Record a call; give symbols of its outputs in the model's own form."""
        where = caller().where.at(f"{self.pipeline} → {model.name}")
        signature = model.signature
        given, faults = bind(signature, args, kwargs)
        for code, fault in faults:
            self.diagnostics.append(Diagnostic(code, where, fault, f"{model.name} takes {signature}"))
        inputs = [
            (name, value.reference)
            for name, value in given.items()
            if value is not None and self._is_symbol(value, where.at(f'{where.subject}, input "{name}"'))
        ]
        index = len(self.steps)
        self.steps.append(Step(model.name, signature, tuple(inputs), where))
        self.models.append(model)
        given_back = model.returns.pack(
            {spec.name: Symbol(self.pipeline, StepRef(index, spec.name)) for spec in signature.outputs}
        )
        return Unawaited(model.name, given_back) if model.asynchronous else given_back

    def output(self, name: str, value: object, where: Where) -> tuple[str, Reference] | None:
        """Take one of the values that the body returned."""
        if isinstance(value, Symbol):
            return name, value.reference
        found = "nothing" if value is None else f"a {type(value).__name__}"
        reason, hint = f"the body returns {found} for it", "return the result of a model, or an input of the pipeline"
        if isinstance(value, Unawaited):
            reason, hint = value.explain("the body returns")
        place = where.at(f'{self.pipeline}, output "{name}"')
        self.diagnostics.append(Diagnostic("TF207", place, f"no model produces it: {reason}", hint))
        return None

    def _is_symbol(self, value: object, where: Where) -> bool:
        if isinstance(value, Symbol):
            return True
        if isinstance(value, Unawaited):
            self.diagnostics.append(Diagnostic("TF201", where, *value.explain("is fed with")))
            return False
        self.diagnostics.append(
            Diagnostic(
                "TF201",
                where,
                f"is fed with a constant ({type(value).__name__}), not with a tensor of the pipeline",
                "constants belong inside a @model function, which travels with its values",
            )
        )
        return False


_active: contextvars.ContextVar[Tracer | None] = contextvars.ContextVar("tracer", default=None)


def active() -> Tracer | None:
    """Give the trace that is running in this context, if any."""
    return _active.get()


def trace(
    body: Callable[..., Any],
    name: str,
    signature: Signature,
    returns: Returns,
    where: Where,
    *,
    absent: Collection[str] = (),
) -> Traced:
    """Run a pipeline's body on symbols, and on None for the inputs that are `absent`.

    Raises:
        DiagnosticError: the body does with a tensor what only a model can.
    """
    tracer = Tracer(name)
    symbols = {
        spec.name: None if spec.name in absent else Symbol(name, InputRef(spec.name)) for spec in signature.inputs
    }
    names = tuple(spec.name for spec in signature.outputs)
    token = _active.set(tracer)
    try:
        result = finish(body(**symbols))
    except DiagnosticError as error:
        raise DiagnosticError([*tracer.diagnostics, *error.diagnostics]) from error
    except Exception as error:
        raise DiagnosticError([*tracer.diagnostics, _untraceable(error, where.at(name))]) from error
    finally:
        _active.reset(token)
    try:
        unpacked = returns.unpack(result, names)
    except ValueError as error:
        wrong = (str(error), f"its signature is {signature}")
        if isinstance(result, Symbol):
            wrong = (f"one tensor was returned; wanted {len(names)} ({', '.join(names)})", wrong[1])
        if isinstance(result, Unawaited):
            wrong = result.explain("its body returns")
        tracer.diagnostics.append(Diagnostic("TF207", where.at(name), *wrong))
        unpacked = {}
    outputs = (tracer.output(key, value, where) for key, value in unpacked.items())
    graph = Graph(tuple(tracer.steps), tuple(output for output in outputs if output is not None))
    return Traced(graph, tuple(tracer.models), tuple(tracer.diagnostics))


def _untraceable(error: Exception, where: Where) -> Diagnostic:
    """Say which line of the body failed."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if _same(frame.filename, where.file)]
    place = Where(where.file, (lines[-1] if lines else None) or where.line, where.subject)
    if isinstance(error, _Unwaited):
        return Diagnostic("TF219", place, f"its body {error.args[0]}", error.args[1])
    if isinstance(error, TypeError) and "'await' expression" in str(error):
        reason = "its body awaits the result of a model that isn't async"
        return Diagnostic("TF219", place, reason, "leave out that `await`: only what is `async def` is awaited")
    return Diagnostic(
        "TF219",
        place,
        f"its body fails when it is traced: {type(error).__name__}: {error}",
        "a pipeline's body runs once, on symbols, to record the models that it calls",
    )


def _same(one: str, other: str) -> bool:
    return os.path.realpath(one) == other


def bind(
    signature: Signature, args: Iterable[object], kwargs: Mapping[str, object]
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Match arguments with inputs: the values by input name, and (code, message) of each fault."""
    names = [spec.name for spec in signature.inputs]
    positional = list(args)
    given: dict[str, Any] = dict(zip(names, positional, strict=False))
    faults = []
    if len(positional) > len(names):
        faults.append(("TF201", f"{len(positional)} inputs are given; it takes {len(names)}"))
    meant = set()
    for name, value in kwargs.items():
        if name not in names:
            close = difflib.get_close_matches(name, [n for n in names if n not in given and n not in kwargs], n=1)
            meant |= set(close)
            guess = f"; did you mean {close[0]}?" if close else ""
            faults.append(("TF201", f'it has no input "{name}"{guess}'))
        elif name in given:
            faults.append(("TF201", f'input "{name}" is given twice'))
        else:
            given[name] = value
    required = [spec.name for spec in signature.inputs if not spec.optional]
    missing = [name for name in required if given.get(name) is None and name not in meant]
    faults += [("TF202", f'input "{name}" is not given') for name in missing]
    return given, faults
