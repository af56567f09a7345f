"""Named dimensions that several tensors have: of one size within a call."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .awaitables import then
from .errors import InvalidResult, Refused
from .pending import value_of

__all__ = ["NamedDim", "agreeing"]


@dataclass(frozen=True, slots=True)
class NamedDim:
    """A dimension that is of one size within a call; `inputs` and `outputs` have it: (name, axis of the array)."""

    name: str
    inputs: Sequence[tuple[str, int]] = ()
    outputs: Sequence[tuple[str, int]] = ()


def agreeing(function: Callable[..., Any], dims: Sequence[NamedDim], outputs: Sequence[str]) -> Callable[..., Any]:
    """Wrap a function of a model with these outputs: each dimension must be one size in what it takes and gives.

    Where it isn't, the call raises Refused or InvalidResult. Of a stream only what it takes is looked at.
    """

    def call(*state: Any, **inputs: Any) -> Any:
        sizes = [_taken(dim, inputs) for dim in dims]
        found = function(*state, **inputs)
        if type(found) is np.ndarray or type(found) is tuple:  # as of most models
            return held(found, sizes)
        return then(found, lambda result: held(result, sizes))

    def held(result: Any, sizes: Sequence[tuple[int, str] | None]) -> Any:
        arrays = _by_name(result, outputs)
        for dim, known in zip(dims, sizes, strict=True):
            _hold(dim, arrays, known)
        return result

    functools.update_wrapper(call, function, updated=())
    if hasattr(function, "start"):  # of a sequence model
        call.start = function.start  # type: ignore[attr-defined]  # a function has attributes
    return call


def _taken(dim: NamedDim, inputs: Mapping[str, Any]) -> tuple[int, str] | None:
    """Give the size of a dimension in what a model is given, and the input that has it.

    Raises:
        Refused: two inputs disagree.
    """
    known = None
    for name, axis, array in _places(dim.inputs, inputs):
        size = array.shape[axis]
        known = known or (size, name)
        if size != known[0]:
            raise Refused(f'{dim.name} is {size} in input "{name}", but {known[0]} in "{known[1]}"', "INVALID_ARG")
    return known


def _hold(dim: NamedDim, arrays: Mapping[str, Any], known: tuple[int, str] | None) -> None:
    """Raise InvalidResult where a dimension is of another size in a result."""
    for name, axis, array in _places(dim.outputs, arrays):
        size = array.shape[axis]
        known = known or (size, name)
        if size != known[0]:
            shape = list(array.shape)
            raise InvalidResult(
                f'output "{name}" has shape {shape}: {dim.name} is {size}, but {known[0]} in "{known[1]}"'
            )


def _places(places: Sequence[tuple[str, int]], arrays: Mapping[str, Any]) -> Iterable[tuple[str, int, Any]]:
    """Give the arrays that have a dimension; what is none, or of another rank, is for other checks to tell."""
    for name, axis in places:
        array = arrays.get(name)
        if type(array) is not np.ndarray:
            array = value_of(array)
        if isinstance(array, np.ndarray) and array.ndim > axis:
            yield name, axis, array


def _by_name(result: Any, outputs: Sequence[str]) -> Mapping[str, Any]:
    if isinstance(result, tuple):
        return dict(zip(outputs, result, strict=False))
    return result if isinstance(result, Mapping) else {outputs[0]: result}
