"""Values of data as a tensor's type: the same values, or refused.

Whole numbers stay what they are. Other numbers become the nearest ones of a float type, as any decimal does, but none
becomes infinite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritonforge.dtypes import DTYPES

__all__ = ["cast"]

Array = NDArray[Any]

_EXACT = 2.0**53
"""Below this a whole number has a float of 64 bits of its own."""


def cast(value: Any, datatype: str) -> Array:
    """Make an array of a tensor's type. A whole number may be spelled as a float, 2.0, and a truth value as 0 or 1.

    Raise ValueError, naming the first value that the type doesn't have.
    """
    if datatype == "BYTES":
        return _texts(value)
    wanted: np.dtype[Any] = DTYPES[datatype].numpy
    array = np.asarray(value)
    if array.dtype == wanted:
        return array
    if array.dtype.kind == "O":
        array = _numbers(array, whole=wanted.kind in "iu")
    if array.dtype.kind not in "iuf" and array.dtype != DTYPES["BF16"].numpy:
        found = f"{array.flat[0].item()!r}" if array.size else f"an array of {array.dtype}"
        raise ValueError(f"{found} is no number")
    if wanted.kind == "b":
        _refuse(array, ~np.isin(array, (0, 1)), "it is true or false, or 0 or 1")
    elif wanted.kind in "iu":
        return _whole(array, wanted)
    with np.errstate(over="ignore"):
        cast: Array = array.astype(wanted)
    if wanted.kind != "b":
        _refuse(array, np.isinf(cast) & ~_infinite(array), "it is too large")
    return cast


def _whole(array: Array, wanted: np.dtype[Any]) -> Array:
    if array.dtype.kind not in "iu":
        wide = array.astype(np.float64)
        with np.errstate(invalid="ignore"):
            _refuse(array, wide != np.trunc(wide), "it is a whole number")
        _refuse(array, np.abs(wide) >= _EXACT, "a whole number that is written as a float is below 2**53")
        array = wide.astype(np.int64)
    limits = np.iinfo(wanted)
    if array.size and not (limits.min <= int(array.min()) and int(array.max()) <= limits.max):
        _refuse(
            array,
            np.array([not limits.min <= item <= limits.max for item in array.ravel().tolist()]).reshape(array.shape),
            f"it is {limits.min} to {limits.max}",
        )
    return array.astype(wanted)


def _refuse(array: Array, wrong: NDArray[np.bool_], allowed: str) -> None:
    if wrong.any():
        raise ValueError(f"{array[wrong].flat[0].item()!r} is none of its values; {allowed}")


def _infinite(array: Array) -> NDArray[np.bool_]:
    return np.zeros(array.shape, bool) if array.dtype.kind in "iu" else np.isinf(array)


def _numbers(array: Array, *, whole: bool) -> Array:
    """Make numbers of Python's, some of which are too large for NumPy's integers."""
    items: Sequence[Any] = array.ravel().tolist()
    wrong = [item for item in items if isinstance(item, bool) or not isinstance(item, (int, float, Decimal))]
    if wrong:
        raise ValueError(f"{_spelled(wrong[0])} is no number")
    if whole and all(isinstance(item, int) for item in items):
        beyond = [item for item in items if not -(2**63) <= item < 2**64]
        if beyond:
            raise ValueError(f"{beyond[0]} has more than 64 bits")
        kind: Any = np.uint64 if min(items) >= 0 else np.int64
        return np.array(items, kind).reshape(array.shape)
    return np.array([_float(item) for item in items], np.float64).reshape(array.shape)


def _float(item: float | Decimal) -> float:
    with suppress(OverflowError):
        value = float(item)
        if value == item or not math.isinf(value):
            return value
    raise ValueError(f"{item} is too large")


def _texts(value: Any) -> Array:
    array = value.astype(object) if isinstance(value, np.ndarray) else np.array(value, object)
    wrong = [item for item in array.ravel().tolist() if not isinstance(item, (str, bytes))]
    if wrong:
        raise ValueError(f"{_spelled(wrong[0])} is no text")
    return array


def _spelled(value: object) -> str:
    return "null" if value is None else repr(value)
