"""`@model`: a Python function or class that Triton serves."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from tritonforge.define.arrays import Array
from tritonforge.define.base import Definition
from tritonforge.define.origin import Origin, caller
from tritonforge.define.settings import Batching, Instances
from tritonforge.define.signature import ParsedFunction, Returns, parse_function
from tritonforge.errors import Diagnostic, DiagnosticError, Where
from tritonforge.ir import Signature

__all__ = ["PythonModel", "model"]

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class _Callable(Protocol[P, R_co]):
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...


class PythonModel(Definition[P, R_co]):
    """A function, or a class whose instance is called, that Triton's Python backend runs."""

    def __init__(
        self,
        target: Callable[..., Any],
        *,
        origin: Origin,
        name: str | None,
        batching: Batching | None,
        instances: Instances | None,
    ) -> None:
        super().__init__(origin, name)
        self.target = target
        self.batching = batching
        self.instances = instances
        self.__doc__ = target.__doc__
        self.__name__ = getattr(target, "__name__", "")
        self.__wrapped__ = target

    @property
    def name(self) -> str:
        """The model's name: as given, or that of its variable, or that of the function."""
        return super().name or self.__name__

    @property
    def where(self) -> Where:
        """The line at which the function or class begins."""
        return self._origin.begin(self.target).at(self.name)

    @property
    def signature(self) -> Signature:
        """What it takes and gives, read from its annotations."""
        return self._parsed.signature

    @property
    def returns(self) -> Returns:
        """The form of its return annotation."""
        return self._parsed.returns

    def run(self, inputs: Mapping[str, Array | None]) -> Any:
        """Call the function, or the instance (made at the first call)."""
        return self._function(**inputs)

    @cached_property
    def _parsed(self) -> ParsedFunction:
        function = self.target
        if isinstance(function, type):
            fault = _unmakable(function)
            if fault:
                raise DiagnosticError([Diagnostic("TF110", self.where, *fault)])
            function = function.__call__.__get__(object())  # bound to something, so that `self` is no parameter
        return parse_function(function, self.name, self.where)

    @cached_property
    def _function(self) -> Callable[..., Any]:
        instance: Callable[..., Any] = self.target() if isinstance(self.target, type) else self.target
        return instance


def _unmakable(target: type) -> tuple[str, str] | None:
    """Say what keeps a class from being made without arguments and called; and how to mend it."""
    if not any("__call__" in vars(base) for base in target.__mro__):
        return "the class has no __call__", "define __call__(self, …) with annotated tensors; Triton calls the instance"
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return None
    needed = [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if needed:
        return f"its __init__ needs {', '.join(needed)}; Triton makes it without arguments", "give each a default"
    return None


@overload
def model(target: type[_Callable[P, R]], /) -> PythonModel[P, R]: ...
@overload
def model(target: Callable[P, R], /) -> PythonModel[P, R]: ...
@overload
def model(
    *, name: str | None = None, batching: Batching | None = None, instances: Instances | None = None
) -> _Decorator: ...
def model(
    target: Any = None,
    /,
    *,
    name: str | None = None,
    batching: Batching | None = None,
    instances: Instances | None = None,
) -> Any:
    """Make a function or a class a model.

    Parameters are the inputs, by name; the returned array, tuple or NamedTuple gives the outputs (`output`;
    `output_0`, `output_1`, …; the field names). All are annotated with jaxtyping: `Float32[np.ndarray, "batch 20"]`.
    A leading dimension named `batch` is the one that Triton batches along: the function gets the rows of many requests
    at once and returns as many. A generator function, annotated `Iterator[…]`, gives many responses to one request.
    A class is made once, when Triton loads the model, and its `__call__` is the function; `finalize`, if it has one,
    is called at the end.

    Args:
        target: the function or class; or a model, to make another of it with other settings.
        name: the model's name; by default that of the function or class.
        batching: how requests are batched; `Batching()` where the annotations have a batch dimension.
        instances: how many copies run; one on the CPU by default.
    """
    origin = caller()

    def make(decorated: Any) -> PythonModel[..., Any]:
        decorated = decorated.target if isinstance(decorated, PythonModel) else decorated
        return PythonModel(decorated, origin=origin, name=name, batching=batching, instances=instances)

    return make if target is None else make(target)


class _Decorator(Protocol):
    @overload
    def __call__(self, target: type[_Callable[P, R]], /) -> PythonModel[P, R]: ...
    @overload
    def __call__(self, target: Callable[P, R], /) -> PythonModel[P, R]: ...
