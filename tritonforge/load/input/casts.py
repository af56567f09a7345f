"""Values of data as a tensor's type: the same values, or refused.

Whole numbers stay what they are. Other numbers become the nearest ones of a float type, as any decimal does, but none
becomes infinite.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritonforge.dtypes import DTYPES

__all__ = ["cast", "unpromoted"]

Array = NDArray[Any]

_EXACT = 2.0**53
"""Below this a whole number has a float of 64 bits of its own."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_TRUTH = "it is true or false, or 0 or 1"
_WHOLE = "it is a whole number"
_WRITTEN_AS_FLOAT = "a whole number that is written as a float is below 2**53"


def cast(value: Any, datatype: str) -> Array:
    """Make an array of a tensor's type. A whole number may be spelled as a float, 2.0, and a truth value as 0 or 1.

    Raise ValueError, naming the first value that the type doesn't have.
    """
    if datatype == "BYTES":
        return _texts(value)
    wanted: np.dtype[Any] = DTYPES[datatype].numpy
    array = unpromoted(value)
    if array.dtype == wanted:
        return array
    if array.dtype.kind == "O":
        array = _each(array, wanted)
        if array.dtype == wanted:
            return array
    if array.dtype.kind not in "iuf" and array.dtype != DTYPES["BF16"].numpy:
        found = f"{array.flat[0].item()!r}" if array.size else f"an array of {array.dtype}"
        raise _no_number(found, wanted)
    if wanted.kind == "b":
        _refuse(array, ~np.isin(array, (0, 1)), _TRUTH)
    elif wanted.kind in "iu":
        return _whole(array, wanted)
    with np.errstate(over="ignore"):
        cast: Array = array.astype(wanted)
    if wanted.kind != "b":
        _refuse(array, np.isinf(cast) & ~_infinite(array), "it is too large")
    return cast


def unpromoted(value: Any) -> Array:
    """Make an array in which each value of nested lists is what it was: of one dtype, or else of objects.

    NumPy has one dtype for all of them. Beside numbers true becomes 1, beside texts a number becomes a text, and beside
    floats, or from 2**63 on, a whole number becomes a float, which may be another.
    """
    array = np.asarray(value)
    if isinstance(value, (np.ndarray, np.generic)) or array.dtype.kind == "O":
        return array
    objects = np.asarray(value, object)
    kinds = set(map(type, objects.ravel().tolist()))
    if kinds == {float} or (kinds <= {int, float} and array.dtype.kind == "f" and (np.abs(array) < _EXACT).all()):
        return array
    return array if len(kinds) == 1 and (kinds != {int} or array.dtype.kind in "iu") else objects


def _whole(array: Array, wanted: np.dtype[Any]) -> Array:
    if array.dtype.kind not in "iu":
        wide = array.astype(np.float64)
        with np.errstate(invalid="ignore"):
            _refuse(array, wide != np.trunc(wide), _WHOLE)
        _refuse(array, np.abs(wide) >= _EXACT, _WRITTEN_AS_FLOAT)
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
        raise _none_of_its_values(array[wrong].flat[0].item(), allowed)


def _none_of_its_values(item: object, allowed: str) -> ValueError:
    return ValueError(f"{_spelled(item)} is none of its values; {allowed}")


def _no_number(spelled: str, wanted: np.dtype[Any]) -> ValueError:
    return ValueError(f"{spelled} is none of its values; {_TRUTH}" if wanted.kind == "b" else f"{spelled} is no number")


def _infinite(array: Array) -> NDArray[np.bool_]:
    return np.zeros(array.shape, bool) if array.dtype.kind in "iu" else np.isinf(array)


def _each(array: Array, wanted: np.dtype[Any]) -> Array:
    """Make numbers of Python's, of several kinds or too large for NumPy's integers: of the type itself if it is whole.

    Else they are floats of 64 bits.
    """
    items = array.ravel().tolist()
    if wrong := {kind for kind in set(map(type, items)) if not _is_number(kind, wanted)}:
        raise _no_number(_spelled(next(item for item in items if type(item) in wrong)), wanted)
    if wanted.kind == "b":
        _require(items, [item in (0, 1) for item in items], _TRUTH)
    elif wanted.kind in "iu":
        whole = items if set(map(type, items)) == {int} else list(map(_integer, items))
        least, most = np.iinfo(wanted).min, np.iinfo(wanted).max
        if whole and not least <= min(whole) <= max(whole) <= most:
            _require(items, [least <= number <= most for number in whole], f"it is {least} to {most}")
        return np.array(whole, wanted).reshape(array.shape)
    return np.array(list(map(_float, items)), np.float64).reshape(array.shape)


def _require(items: Sequence[object], right: Sequence[bool], allowed: str) -> None:
    if not all(right):
        raise _none_of_its_values(items[right.index(False)], allowed)


def _is_number(kind: type, wanted: np.dtype[Any]) -> bool:
    return issubclass(kind, (int, float, Decimal)) and (wanted.kind == "b" or not issubclass(kind, bool))


def _integer(item: float | Decimal) -> int:
    if isinstance(item, int):
        return int(item)
    if not math.isfinite(item) or item != int(item):
        raise _none_of_its_values(item, _WHOLE)
    if isinstance(item, float) and abs(item) >= _EXACT:
        raise _none_of_its_values(item, _WRITTEN_AS_FLOAT)
    return int(item)


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
    for item in array.ravel().tolist():
        if isinstance(item, str) and (found := _SURROGATE.search(item)):
            raise ValueError(f"{found[0]!r} is no character, and has no UTF-8: half of a surrogate pair")
    return array


def _spelled(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    return "null" if value is None else repr(value)
