"""Requests stacked along the batch, and results split back: NumPy alone, no Triton."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Inputs", "all_rows", "group", "rows", "split", "stack"]

Array = NDArray[Any]

Inputs = tuple[Array | None, ...]
"""One request's arrays in the order of the model's inputs; None for an optional input that isn't there."""


def group(requests: Iterable[tuple[int, Inputs]]) -> list[list[tuple[int, Inputs]]]:
    """Put together the requests that can be stacked: the same inputs present, of the same shapes but for the batch.

    Requests keep their order within a group, and groups the order of their first request.
    """
    groups: dict[tuple[tuple[int, ...] | None, ...], list[tuple[int, Inputs]]] = {}
    for index, inputs in requests:
        key = tuple(None if array is None else array.shape[1:] for array in inputs)
        groups.setdefault(key, []).append((index, inputs))
    return list(groups.values())


def rows(inputs: Iterable[Array | None]) -> int | None:
    """Count a request's rows; None where no input is there to tell."""
    for array in inputs:
        if array is not None:
            return len(array)
    return None


def all_rows(requests: Sequence[Inputs]) -> list[int] | None:
    """Count the rows of each request of one group; None where no input is there to tell."""
    for place, array in enumerate(requests[0]):
        if array is not None:  # in a group all are there, or none
            return [len(inputs[place]) for inputs in requests]  # type: ignore[arg-type]
    return None


def stack(requests: Sequence[Inputs]) -> Inputs:
    """Join requests of one group along the batch; a single request's arrays are passed on as they are."""
    if len(requests) == 1:
        return requests[0]
    if len(requests[0]) == 1 and requests[0][0] is not None:  # as of most models
        return (np.concatenate([array for (array,) in requests]),)  # in a group all are there
    return tuple(
        None if column[0] is None else np.concatenate(column)  # in a group all are there, or none
        for column in zip(*requests, strict=True)
    )


def split(array: Array, sizes: Iterable[int]) -> list[Array]:
    """Cut an array into views of so many rows each."""
    parts = []
    start = 0
    for size in sizes:
        parts.append(array[start : start + size])
        start += size
    return parts
