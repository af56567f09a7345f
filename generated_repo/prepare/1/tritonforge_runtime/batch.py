"""Requests stacked along the batch, and results split back: NumPy alone, no Triton."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Inputs", "RequestParameters", "all_rows", "group", "join", "kind", "rows", "split", "stack"]

Array = NDArray[Any]

Inputs = tuple[Any, ...]
"""One request's arrays in the order of the model's inputs; None for an optional input that isn't there. Of a model that
takes the request's parameters those come last, as RequestParameters."""


class RequestParameters(dict[str, Any]):
    """What a request says beside its tensors. Requests share a call where they say the same: have one `key`."""

    __slots__ = ()

    @property
    def key(self) -> str:
        """What tells those that say the same, as JSON: 1, 1.0 and true don't."""
        return json.dumps(self, sort_keys=True)

    def copy(self) -> RequestParameters:
        """Give the same once more, for a function that may change them."""
        return RequestParameters(self)


def group(requests: Iterable[tuple[int, Inputs]]) -> list[list[tuple[int, Inputs]]]:
    """Put together the requests that can be stacked: the same inputs present, of the same shapes but for the batch, and
    the same parameters.

    Requests keep their order within a group, and groups the order of their first request.
    """
    groups: dict[tuple[object, ...], list[tuple[int, Inputs]]] = {}
    for index, inputs in requests:
        key = tuple(map(kind, inputs))
        groups.setdefault(key, []).append((index, inputs))
    return list(groups.values())


def kind(given: Any) -> object:
    """Give what two requests must have in common in one place to be stacked."""
    if type(given) is RequestParameters:
        return given.key
    return None if given is None else given.shape[1:]


def rows(inputs: Iterable[Any]) -> int | None:
    """Count a request's rows; None where no input is there to tell."""
    for array in inputs:
        if array is not None and type(array) is not RequestParameters:
            return len(array)
    return None


def all_rows(requests: Sequence[Inputs]) -> list[int] | None:
    """Count the rows of each request of one group; None where no input is there to tell."""
    for place, array in enumerate(requests[0]):
        if array is not None and type(array) is not RequestParameters:  # in a group all are there, or none
            return [len(inputs[place]) for inputs in requests]
    return None


def stack(requests: Sequence[Inputs]) -> Inputs:
    """Join requests of one group along the batch; a single request's arrays are passed on as they are."""
    if len(requests) == 1:
        return requests[0]
    if len(requests[0]) == 1 and requests[0][0] is not None:  # as of most models
        return (np.concatenate([array for (array,) in requests]),)  # in a group all are there
    return tuple(map(join, zip(*requests, strict=True)))


def join(column: Sequence[Any]) -> Any:
    """Join what the requests of one group have in one place: all are there, or none."""
    if len(column) == 1:
        return column[0]
    if type(column[0]) is RequestParameters:
        return column[0].copy()  # each has its own left, should the function change this one, and fail
    return None if column[0] is None else np.concatenate(column)


def split(array: Array, sizes: Iterable[int]) -> list[Array]:
    """Cut an array into views of so many rows each."""
    parts = []
    start = 0
    for size in sizes:
        parts.append(array[start : start + size])
        start += size
    return parts
