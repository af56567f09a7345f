"""Results of calls that are under way, as a body hands them on and computes with them."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any, Protocol

from numpy.lib.mixins import NDArrayOperatorsMixin

from .batch import Array

__all__ = ["Pending", "Promise", "resolve", "value_of"]


class Promise(Protocol):
    """What gives the outputs of a call by name, when they are there."""

    def result(self) -> Mapping[str, Array]:
        """Wait for the outputs."""


class Pending(NDArrayOperatorsMixin):
    """An output of a call that is under way. Whatever is done with it but handing it on waits for the array."""

    def __init__(self, call: Promise, output: str) -> None:
        self.call = call
        self.output = output

    def result(self) -> Array:
        """Wait for the array.

        Raises:
            TritonError: the model failed; the message names it.
        """
        return self.call.result()[self.output]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        array = self.result() if dtype is None else self.result().astype(dtype)
        return array.copy() if copy else array

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return getattr(ufunc, method)(*map(value_of, inputs), **{name: value_of(v) for name, v in kwargs.items()})

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return function(*_values(args), **{name: _values(value) for name, value in kwargs.items()})

    def __getattr__(self, name: str) -> Any:
        return getattr(self.result(), name)

    def __getitem__(self, key: Any) -> Any:
        return self.result()[value_of(key)]

    def __len__(self) -> int:
        return len(self.result())

    def __iter__(self) -> Any:
        return iter(self.result())

    def __contains__(self, item: Any) -> bool:
        return item in self.result()

    def __bool__(self) -> bool:
        return bool(self.result())

    def __int__(self) -> int:
        return int(self.result())

    def __float__(self) -> float:
        return float(self.result())

    def __index__(self) -> int:
        return operator.index(self.result())

    def __repr__(self) -> str:
        return repr(self.result())


def resolve(result: Any) -> Any:
    """Wait for what a body returns: an array, a tuple or NamedTuple of them, or a mapping."""
    if isinstance(result, Mapping):
        return {name: value_of(value) for name, value in result.items()}
    if isinstance(result, tuple):
        values = [value_of(value) for value in result]
        return type(result)(*values) if hasattr(result, "_fields") else tuple(values)
    return value_of(result)


def value_of(value: Any) -> Any:
    """Wait for what may be pending."""
    return value.result() if isinstance(value, Pending) else value


def _values(nested: Any) -> Any:
    """Wait for all that is in an argument list, tuples and lists in it too."""
    if isinstance(nested, tuple | list):
        return type(nested)(map(_values, nested))
    return value_of(nested)
