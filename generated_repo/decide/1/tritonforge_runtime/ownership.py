"""Results that are kept while the user's code runs again: what it may still write into is copied, and nothing else.

A function may fill a buffer of its own, and return that each time. An answer that is sent before the next call needs no
copy. One that is kept until later calls are over does, unless nobody else holds its memory: which CPython's count of
references tells. (The Python inside Triton is CPython's.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from sys import getrefcount
from typing import Any

import numpy as np

from .batch import Array

__all__ = ["own", "own_result"]

_PROBE = [np.empty(1)]
_ALONE = getrefcount(_PROBE[0])
"""The count of what one place holds: a list, or a view as its base."""


def own(arrays: list[Any], given: Iterable[Array | None] = ()) -> list[Any]:
    """Put copies in the place of arrays that somebody holds beside this list; what is no array stays.

    The memory of what the call was `given` is its own: the first array that lies there stays, too.
    """
    memories: set[int] | None = None
    for place in range(len(arrays)):
        if not issubclass(type(arrays[place]), np.ndarray):  # to `isinstance` one that is pending is an array
            continue
        if _is_alone(arrays, place):
            continue
        if memories is None:
            memories = {id(_memory(array)) for array in given if array is not None}
        memory = id(_memory(arrays[place]))
        if memory in memories:
            memories.remove(memory)
        else:
            arrays[place] = arrays[place].copy()
    return arrays


def own_result(held: list[Any]) -> Any:
    """Take a function's result, of any form, out of a list that alone holds it; give it with arrays that are alone."""
    result = held.pop()
    if isinstance(result, Mapping):
        names, values = list(result), list(result.values())
        del result
        return dict(zip(names, own(values), strict=True))
    if isinstance(result, tuple):
        kind, values = type(result), list(result)
        del result
        return kind(*own(values)) if hasattr(kind, "_fields") else tuple(own(values))
    values = [result]
    del result
    return own(values)[0]


def _is_alone(arrays: list[Any], place: int) -> bool:
    """Say whether nobody else holds an array of a list, nor the array whose memory it shows."""
    if getrefcount(arrays[place]) != _ALONE:
        return False
    array = arrays[place]
    while array.base is not None:
        if type(array.base) is not np.ndarray or getrefcount(array.base) != _ALONE:
            return False
        array = array.base
    return bool(array.flags.owndata)


def _memory(array: Any) -> Any:
    """Give what has an array's memory: the last of its bases."""
    while isinstance(array, np.ndarray) and array.base is not None:
        array = array.base
    return array
