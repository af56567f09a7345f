"""`@model`: a Python function or class that Triton serves."""

from __future__ import annotations

import copy
import inspect
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, overload

from typing_extensions import Self, Unpack

from tritonforge.define.asynchronous import then
from tritonforge.define.faults import settle
from tritonforge.define.function_definition import FunctionDefinition, wrappable
from tritonforge.define.instance import Instance, instance_parameter
from tritonforge.define.isolation import own, run_function
from tritonforge.define.origin import Origin, caller
from tritonforge.define.padding import Buckets, mask_name, parse_padding, trim
from tritonforge.define.padding import pad as pad_inputs
from tritonforge.define.sequences import Sequence, forgotten, misplaced, state_parameter, unfit
from tritonforge.define.settings import Batching, CommonArguments, Instances
from tritonforge.define.signature import ParsedFunction, parse_function
from tritonforge.errors import Diagnostic, DiagnosticError
from tritonforge.ir import PaddedDim, PadValue

__all__ = ["PythonModel", "being_made", "model"]

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class _Callable(Protocol[P, R_co]):
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...


class _Stateful(Protocol[P, R_co]):
    def start(self) -> Any: ...
    def __call__(self, state: Any, /, *args: P.args, **kwargs: P.kwargs) -> R_co: ...


class PythonModel(FunctionDefinition[P, R_co]):
    """A function, or a class whose instance is called, that Triton's Python backend runs."""

    def __init__(
        self,
        target: Callable[..., Any],
        *,
        origin: Origin,
        name: str | None,
        batching: Batching | None,
        instances: Instances | None,
        pad: Mapping[str, PadValue] | None = None,
        pad_to: Buckets = (),
        parameters: Mapping[str, str] | None = None,
        sequence: Sequence | None = None,
    ) -> None:
        super().__init__(target, origin=origin, name=name)
        self.batching = self._typed("batching", batching)
        self.instances = self._typed("instances", instances)
        pad = self._typed("pad", pad)
        self._pad = dict(pad or {})
        self._pad_to = self._typed("pad_to", pad_to) or ()
        strings = self._typed("parameters", parameters) or {}
        settle(_unfit_parameters(strings), lambda: self.where)
        self.parameters = {key: value for key, value in strings.items() if isinstance(value, str)}
        self.sequence = self._typed("sequence", sequence) or (Sequence() if sequence else None)
        self._begun: tuple[Any] | None = None
        self.target = target  # last: from now on, further attributes are the class's

    if not TYPE_CHECKING:  # where a definition's own names, and no others, are known

        def __getattr__(self, name: str) -> Any:
            """Give a class's attribute: its own code finds it under its name in the module, which this one has."""
            target = vars(self).get("target")
            if isinstance(target, type) and not name.startswith("__"):
                return getattr(target, name)
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

        def __setattr__(self, name: str, value: object) -> None:
            target = vars(self).get("target")
            if not isinstance(target, type) or name in vars(self) or hasattr(type(self), name):
                object.__setattr__(self, name, value)
            else:
                setattr(target, name, value)

    @property
    def pads(self) -> bool:
        """Whether requests that differ in a dimension are filled up."""
        return bool(self._pad or self._pad_to)

    @cached_property
    def padding(self) -> tuple[PaddedDim, ...]:
        """The dimensions that are padded.

        Raises:
            DiagnosticError: they don't fit the signature.
        """
        if not self.pads:
            return ()
        return parse_padding(self._pad, self._pad_to, self.signature, self._parsed.internal, self.where)

    def run(self, inputs: Mapping[str, Any]) -> Any:
        """Call the function, or the instance (made at the first call); padded as a request that is served alone.

        Inside a pipeline it gets copies: what it writes into its inputs is seen by nobody else, as when it is served.
        """
        inputs = own(inputs)
        if self.sequence is not None:
            (state,) = self._begun or (self._function.start(),)  # type: ignore[attr-defined]  # checked with the signature
            return run_function(self._function, state, **inputs)
        if not self.padding:
            return run_function(self._function, **inputs)
        padded, sizes = pad_inputs(self.name, self.padding, inputs)

        def trimmed(result: Any) -> Any:
            try:
                outputs = self.returns.unpack(result, tuple(spec.name for spec in self.signature.outputs))
            except ValueError:
                return result  # of the wrong form, which the check of results explains
            return self.returns.pack(trim(self.name, self.padding, outputs, inputs, sizes))

        return then(run_function(self._function, **padded), trimmed)

    def begin(self) -> Self:
        """Begin a sequence of a sequence model: give the model with a state of its own.

        Each call of what is given is the sequence's next request. A call of the model itself is a sequence of one.

        Raises:
            TypeError: it is not a sequence model.
        """
        if self.sequence is None:
            raise TypeError(f"{self.name} keeps no state: it is no sequence model")
        assert self.signature.sequence
        made = copy.copy(self)
        made._begun = (self._function.start(),)  # type: ignore[attr-defined]  # checked with the signature
        return made

    @cached_property
    def _parsed(self) -> ParsedFunction:
        function = self.target
        if isinstance(function, type):
            fault = _unmakable(function)
            if fault:
                raise DiagnosticError([Diagnostic("TF110", self.where, *fault)])
            function = function.__call__.__get__(object())  # bound to something, so that `self` is no parameter
        internal = {mask_name(dim) for dim in self._pad}
        if self.sequence is not None and isinstance(self.target, type):
            internal.add(state_parameter(self.target))
        found = misplaced(self.target, self.where) if self.sequence is not None else []
        try:
            parsed = parse_function(function, self.name, self.where, internal=internal)
        except DiagnosticError as error:
            if self.sequence is None:
                raise DiagnosticError(forgotten(self.target, error.diagnostics, self.where)) from error
            if not found:
                raise
            raise DiagnosticError(found) from error
        if self.sequence is None:
            return parsed
        found += unfit(self.target, parsed.signature, self.where, padded=bool(self._pad))
        if found:
            raise DiagnosticError(found)
        return replace(parsed, signature=replace(parsed.signature, sequence=True))

    @cached_property
    def _function(self) -> Callable[..., Any]:
        if not isinstance(self.target, type):
            return self.target
        instance = Instance("CPU", 0, f"{self.name}_0", self.name, 0, dict(self.parameters))
        wanted = instance_parameter(self.target)
        made: Callable[..., Any] = self.target(**{wanted: instance} if wanted else {})
        return made


def being_made(error: BaseException) -> PythonModel[..., Any] | None:
    """Find the model whose class was being made, in its `__init__`, as an error was raised."""
    making = vars(PythonModel)["_function"].func.__code__
    found = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if frame.f_code is making]
    return found[-1].f_locals["self"] if found else None


def _unfit_parameters(parameters: Mapping[str, Any]) -> Iterator[Exception]:
    """Give an error for each parameter that isn't a string, or has no name."""
    for key, value in parameters.items():
        if key == "":
            yield ValueError("parameters: one has no name")
        elif not isinstance(key, str) or not isinstance(value, str):
            found = f"{key!r} is {value!r}, of type {type(value).__name__}"
            yield TypeError(f'parameters: {found}, and config.pbtxt has strings only; write {{"{key}": "{value}"}}')


def _unmakable(target: type) -> tuple[str, str] | None:
    """Say what keeps a class from being made and called; and how to mend it."""
    if not any("__call__" in vars(base) for base in target.__mro__):
        return "the class has no __call__", "define __call__(self, …) with annotated tensors; Triton calls the instance"
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return None
    instance = instance_parameter(target)
    needed = [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.name != instance
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if needed:
        return (
            f"its __init__ needs {', '.join(needed)}; Triton gives it no more than its Instance",
            "give each a default, or annotate one with tritonforge.Instance",
        )
    return None


@overload
def model(target: type[_Callable[P, R]], /) -> PythonModel[P, R]: ...
@overload
def model(target: Callable[P, R], /) -> PythonModel[P, R]: ...
@overload
def model(
    *,
    sequence: Sequence,
    name: str | None = None,
    batching: Batching | None = None,
    instances: Instances | None = None,
    parameters: Mapping[str, str] | None = None,
    **options: Unpack[CommonArguments],
) -> _SequenceDecorator: ...
@overload
def model(
    *,
    name: str | None = None,
    batching: Batching | None = None,
    instances: Instances | None = None,
    pad: Mapping[str, PadValue] | None = None,
    pad_to: Buckets = (),
    parameters: Mapping[str, str] | None = None,
    **options: Unpack[CommonArguments],
) -> _Decorator: ...
def model(
    target: Any = None,
    /,
    *,
    name: str | None = None,
    batching: Batching | None = None,
    instances: Instances | None = None,
    pad: Mapping[str, PadValue] | None = None,
    pad_to: Buckets = (),
    parameters: Mapping[str, str] | None = None,
    sequence: Sequence | None = None,
    **options: Unpack[CommonArguments],
) -> Any:
    """Make a function or a class a model.

    Parameters are the inputs, by name; the returned array, tuple or NamedTuple gives the outputs (`output`;
    `output_0`, `output_1`, …; the field names). All are annotated with jaxtyping: `Float32[np.ndarray, "batch 20"]`.
    A leading dimension named `batch` is the one that Triton batches along: the function gets the rows of many requests
    at once and returns as many. A generator function, annotated `Iterator[…]`, gives many responses to one request.
    An `async` function, or generator (`AsyncIterator[…]`), shares its instance with other calls while it awaits.
    An argument after the inputs annotated with `RequestParameters` gets the parameters of the request.
    A class is made once, when Triton loads the model, and its `__call__` is the function; `finalize`, if it has one,
    is called at the end. A parameter of its `__init__` annotated with `Instance` gets the kind, device, names and
    parameters of the copy that it serves.

    Args:
        target: the function or class; or a model, to make another of it with other settings.
        name: the model's name; by default that of the function or class.
        batching: how requests are batched; `Batching()` where the annotations have a batch dimension.
        instances: how many copies run; one on the CPU by default.
        pad: named dimensions in which requests may differ and be stacked nevertheless, and what fills them up:
            `{"seq": 0}`. A parameter `seq_mask: Bool[np.ndarray, "batch seq"]` gets True where the request's own
            values are; it is no input. Outputs that have the dimension are cut back.
        pad_to: sizes to fill up to, ascending: `[32, 64, 128]`, or by dimension `{"seq": [32, 64, 128]}`. Requests that
            are longer than the last are refused. Without it, requests are filled up to the longest of their batch.
        parameters: strings (`{"times": "4"}`) for config.pbtxt's `parameters`, which a class finds in its `Instance`;
            Triton's Python backend knows some of its own, such as EXECUTION_ENV_PATH.
        sequence: for a class with a method `start`, which gives a new state, and whose `__call__` takes the state
            first: requests of one correlation id share a state, from the one that starts the sequence to the one that
            ends it.
        options: the rest of the configuration: `response_cache`, `warmup`, `version_policy`, …; see `Options`.
    """

    def make(decorated: Any) -> PythonModel[..., Any]:
        decorated = wrappable(decorated.target if isinstance(decorated, PythonModel) else decorated, "model")
        return PythonModel(
            decorated,
            origin=caller(),  # where it is applied: one `fast = model(…)` may make many
            name=name,
            batching=batching,
            instances=instances,
            pad=pad,
            pad_to=pad_to,
            parameters=parameters,
            sequence=sequence,
        ).configured(options)

    return make if target is None else make(target)


class _Decorator(Protocol):
    @overload
    def __call__(self, target: type[_Callable[P, R]], /) -> PythonModel[P, R]: ...
    @overload
    def __call__(self, target: Callable[P, R], /) -> PythonModel[P, R]: ...


class _SequenceDecorator(Protocol):
    def __call__(self, target: type[_Stateful[P, R]], /) -> PythonModel[P, R]: ...
