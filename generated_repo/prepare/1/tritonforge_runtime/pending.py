"""Results of calls that are under way, as a body hands them on and computes with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from .batch import Array

__all__ = ["Pending", "Promise", "resolve", "value_of"]


class Promise(Protocol):
    """What gives the outputs of a call by name, when they are there."""

    def result(self) -> Mapping[str, Array]:
        """Wait for the outputs."""


_METHODS = (
    "__abs__", "__add__", "__and__", "__bool__", "__complex__", "__contains__", "__copy__", "__deepcopy__",
    "__delitem__", "__dir__", "__divmod__", "__eq__", "__float__", "__floordiv__", "__format__", "__ge__",
    "__getitem__", "__gt__", "__iadd__", "__iand__", "__ifloordiv__", "__ilshift__", "__imatmul__", "__imod__",
    "__imul__", "__index__", "__int__", "__invert__", "__ior__", "__ipow__", "__irshift__", "__isub__", "__iter__",
    "__itruediv__", "__ixor__", "__le__", "__len__", "__lshift__", "__lt__", "__matmul__", "__mod__", "__mul__",
    "__ne__", "__neg__", "__or__", "__pos__", "__pow__", "__radd__", "__rand__", "__rdivmod__", "__reduce__",
    "__reduce_ex__", "__repr__", "__rfloordiv__", "__rlshift__", "__rmatmul__", "__rmod__", "__rmul__", "__ror__",
    "__rpow__", "__rrshift__", "__rshift__", "__rsub__", "__rtruediv__", "__rxor__", "__setitem__", "__sizeof__",
    "__str__", "__sub__", "__truediv__", "__xor__",
)  # fmt: skip
"""The methods of arrays that Python looks up in the type. Those that change the array in place give the array."""


def _as_of_arrays(kind: type[Any]) -> type[Any]:
    """Give a class the methods of arrays."""
    for name in _METHODS:
        setattr(kind, name, _method(name))
    return kind


def _method(name: str) -> Callable[..., Any]:
    def call(self: Pending, *args: Any) -> Any:
        return getattr(self.result(), name)(*map(_values, args))

    call.__name__ = name
    return call


@_as_of_arrays
class Pending:
    """An output of a call that is under way. Whatever is done with it but handing it on waits for the array.

    It is like the array but for its `type`, and for what reads the memory of arrays: code in C, such as `memoryview`.
    """

    __slots__ = ("__weakref__", "array", "call", "handed_on", "output")
    call: Promise
    output: str
    array: Array | None
    """What the body has, once it has looked at it."""
    handed_on: bool
    """Whether a call gets it that may not be sent yet, of a body that may write into what it has."""
    __hash__ = None  # type: ignore[assignment]  # as of arrays

    def __init__(self, call: Promise, output: str) -> None:
        own = object.__setattr__
        own(self, "call", call)
        own(self, "output", output)
        own(self, "array", None)
        own(self, "handed_on", False)

    @property  # type: ignore[misc]  # it can't be set, as an array's can't
    def __class__(self) -> type[Any]:
        """The class of arrays, for `isinstance`."""
        return np.ndarray

    def result(self) -> Array:
        """Wait for the array that the body has: its own, where a call that may not be sent yet gets the output, too.

        Raises:
            TritonError: the model failed.
        """
        if self.array is None:
            array = self.sent()
            self.array = array.copy() if self.handed_on else array
        return self.array

    def sent(self) -> Array:
        """Wait for the array as the model sent it."""
        return self.call.result()[self.output]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        array = self.result()
        return np.asarray(array, dtype) if copy is None else np.array(array, dtype, copy=copy)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return getattr(ufunc, method)(*map(_values, inputs), **_values(kwargs))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return function(*_values(args), **_values(kwargs))

    def __getattr__(self, name: str) -> Any:
        if name in ("__array_struct__", "__array_interface__"):
            raise AttributeError(name)  # they can't tell of bfloat16; without them NumPy asks for `__array__`
        return getattr(self.result(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in Pending.__slots__:
            object.__setattr__(self, name, value)
        else:
            setattr(self.result(), name, _values(value))

    def __bytes__(self) -> bytes:
        return bytes(self.result())


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
    return value.result() if type(value) is Pending else value


def _values(nested: Any) -> Any:
    """Wait for all that is in arguments, tuples, lists and dictionaries in them too."""
    if isinstance(nested, tuple):
        values = map(_values, nested)
        return type(nested)(*values) if hasattr(nested, "_fields") else tuple(values)
    if isinstance(nested, list):
        return list(map(_values, nested))
    if isinstance(nested, dict):
        return {name: _values(value) for name, value in nested.items()}
    return value_of(nested)
