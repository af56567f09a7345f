"""Tracing: a pipeline's body runs on symbols, and each call on one becomes a step of a graph."""

from __future__ import annotations

import contextvars
import difflib
import os
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from tritonforge.define.asynchronous import finish
from tritonforge.define.origin import caller
from tritonforge.define.signature import Returns
from tritonforge.define.symbols import IN_BLS, OnlyInBls, Symbol, Told, Unawaited, Unwaited
from tritonforge.errors import Diagnostic, DiagnosticError, Where
from tritonforge.ir import Graph, InputRef, Reference, Signature, Step, StepRef

__all__ = [
    "Traceable",
    "Traced",
    "active",
    "bind",
    "goes_on",
    "require_chainable",
    "trace",
    "unchainable",
]


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


@dataclass(frozen=True, slots=True)
class Traced:
    """A pipeline's graph, the model of each of its steps, and what was wrong with the calls."""

    graph: Graph
    models: tuple[Traceable, ...]
    diagnostics: tuple[Diagnostic, ...]


@dataclass
class Tracer:
    """Collects the steps of one pipeline while its body runs; the call that `fails` names raises the error beside it.

    `refused` is what the body has done with a tensor that only a model can.
    """

    pipeline: str
    fails: tuple[int, Exception] | None = None
    steps: list[Step] = field(default_factory=list)
    models: list[Traceable] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    refused: list[Diagnostic] = field(default_factory=list)

    def run(self, body: Callable[..., Any], signature: Signature, absent: Collection[str]) -> Any:
        """Run a body on symbols, and on None for the inputs that are `absent`."""
        names = (spec.name for spec in signature.inputs)
        symbols: dict[str, Symbol | Told | None]
        symbols = {name: None if name in absent else self._symbol(InputRef(name)) for name in names}
        if signature.request_parameters:
            symbols[signature.request_parameters] = Told(self.pipeline, self.refused)
        token = _active.set(self)
        try:
            return finish(body(**symbols))
        finally:
            _active.reset(token)

    def call(self, model: Traceable, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Any:
        """Record a call; give symbols of its outputs in the model's own form."""
        where = caller().where.at(f"{self.pipeline} → {model.name}")
        signature = model.signature
        unfit = unchainable(model)
        if unfit is not None:
            self.diagnostics.append(Diagnostic("TF213", where, *unfit))
        given, faults = bind(signature, args, kwargs)
        for code, fault in faults:
            self.diagnostics.append(Diagnostic(code, where, fault, f"{model.name} takes {signature}"))
        told = given.pop(signature.request_parameters, None)
        self._require_told(told, where.at(f'{where.subject}, argument "{signature.request_parameters}"'))
        inputs = [
            (name, value.reference)
            for name, value in given.items()
            if value is not None and self._is_symbol(value, where.at(f'{where.subject}, input "{name}"'))
        ]
        index = len(self.steps)
        self.steps.append(Step(model.name, signature, tuple(inputs), where, told is not None))
        self.models.append(model)
        given_back = model.returns.pack(
            {spec.name: self._symbol(StepRef(index, spec.name)) for spec in signature.outputs}
        )
        error = self.fails[1] if self.fails is not None and self.fails[0] == index else None
        if model.asynchronous:
            return Unawaited(model.name, given_back, error)
        if error is not None:
            raise error
        return given_back

    def output(self, name: str, value: object, where: Where) -> tuple[str, Reference] | None:
        """Take one of the values that the body returned."""
        if isinstance(value, Symbol):
            return name, value.reference
        found = "nothing" if value is None else f"a {type(value).__name__}"
        found = "the request's parameters" if isinstance(value, Told) else found
        reason, hint = f"the body returns {found} for it", "return the result of a model, or an input of the pipeline"
        if isinstance(value, Unawaited):
            reason, hint = value.explain("the body returns")
        place = where.at(f'{self.pipeline}, output "{name}"')
        kind = OnlyInBls if isinstance(value, np.ndarray) else Diagnostic
        self.diagnostics.append(kind("TF207", place, f"no model produces it: {reason}", hint))
        return None

    def _symbol(self, reference: Reference) -> Symbol:
        return Symbol(self.pipeline, reference, self.refused)

    def _require_told(self, value: object, place: Where) -> None:
        """Note it where a call is given anything but the request's parameters in their place; it may leave them out."""
        if value is None or isinstance(value, Told):
            return
        if isinstance(value, Mapping):
            reason = "is given parameters of the body's own; a pipeline only hands on those of the request"
            self.diagnostics.append(OnlyInBls("TF201", place, reason, f"hand on the request's, or {IN_BLS}"))
            return
        kind = "a tensor" if isinstance(value, Symbol) else f"a {type(value).__name__}"
        hint = "give the pipeline an argument of RequestParameters, and hand that on"
        self.diagnostics.append(Diagnostic("TF201", place, f"is given {kind} for the request's parameters", hint))

    def _is_symbol(self, value: object, where: Where) -> bool:
        if isinstance(value, Symbol):
            return True
        if isinstance(value, Told):
            reason = "is fed with the request's parameters, not with a tensor of the pipeline"
            hint = "a model takes them as an argument of RequestParameters, after its inputs"
            self.diagnostics.append(Diagnostic("TF201", where, reason, hint))
            return False
        if isinstance(value, Unawaited):
            self.diagnostics.append(Diagnostic("TF201", where, *value.explain("is fed with")))
            return False
        array = isinstance(value, np.ndarray)
        hint = "constants belong inside a @model function, which travels with its values"
        self.diagnostics.append(
            (OnlyInBls if array else Diagnostic)(
                "TF201",
                where,
                f"is fed with a constant ({type(value).__name__}), not with a tensor of the pipeline",
                f"{hint}; or {IN_BLS}" if array else hint,
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
    names = tuple(spec.name for spec in signature.outputs)
    try:
        result = tracer.run(body, signature, absent)
    except DiagnosticError as error:
        raise DiagnosticError([*tracer.diagnostics, *error.diagnostics]) from error
    except (Exception, SystemExit) as error:
        raise DiagnosticError([*tracer.diagnostics, *_untraceable(error, tracer, where.at(name))]) from error
    if tracer.refused:
        raise DiagnosticError([*tracer.diagnostics, *tracer.refused])
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


def goes_on(
    body: Callable[..., Any],
    name: str,
    signature: Signature,
    call: int,
    error: Exception,
    *,
    absent: Collection[str] = (),
) -> bool:
    """Run a pipeline's body on symbols, where one of its calls raises an error; say whether it keeps that to itself."""
    tracer = Tracer(name, (call, error))
    try:
        tracer.run(body, signature, absent)
    except (Exception, SystemExit):
        return bool(tracer.refused)  # in what it does about the error
    return error.__traceback__ is not None  # where a call isn't awaited, it isn't raised


def unchainable(model: Traceable) -> tuple[str, str] | None:
    """Say why a pipeline can't call a model, and what to do; None where it can."""
    if model.signature.decoupled:
        reason = f"{model.name} gives a stream; a pipeline chains models that answer once"
        return reason, "call the stream by itself, or give its results at once"
    if model.signature.sequence:
        reason = f"{model.name} keeps a state between requests; a pipeline chains models that keep none"
        return reason, "call the sequence model by itself"
    return None


def require_chainable(model: Traceable) -> None:
    """Refuse a call that a pipeline's body makes on arrays, where it couldn't be served.

    Raises:
        DiagnosticError: the model is a stream, or keeps a state.
    """
    unfit = unchainable(model)
    if unfit is not None:
        raise DiagnosticError([Diagnostic("TF213", caller().where.at(model.name), *unfit)])


def _untraceable(error: BaseException, tracer: Tracer, where: Where) -> Sequence[Diagnostic]:
    """Say which line of the body failed."""
    if tracer.refused:
        return tracer.refused
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if _same(frame.filename, where.file)]
    place = Where(where.file, (lines[-1] if lines else None) or where.line, where.subject)
    if isinstance(error, Unwaited):
        return [Diagnostic("TF219", place, f"its body {error.args[0]}", error.args[1])]
    if isinstance(error, TypeError) and "'await' expression" in str(error):
        reason = "its body awaits the result of a model that isn't async"
        return [Diagnostic("TF219", place, reason, "leave out that `await`: only what is `async def` is awaited")]
    if isinstance(error, SystemExit):
        reason = f"its body ends the process when it is traced: SystemExit: {error}"
        return [Diagnostic("TF219", place, reason, "take out what ends it: sys.exit, or a parser of arguments")]
    # What else is raised may come from a symbol, in the place of an array.
    kind = Diagnostic if isinstance(error, NameError) else OnlyInBls
    return [
        kind(
            "TF219",
            place,
            f"its body fails when it is traced: {type(error).__name__}: {error}",
            "a pipeline's body runs once, on symbols, to record the models that it calls",
        )
    ]


def _same(one: str, other: str) -> bool:
    return os.path.realpath(one) == other


def bind(
    signature: Signature, args: Iterable[object], kwargs: Mapping[str, object]
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Match arguments with inputs and the request's parameters: values by name, and (code, message) of each fault."""
    names = [spec.name for spec in signature.inputs]
    if signature.request_parameters:
        names.append(signature.request_parameters)
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
