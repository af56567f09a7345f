"""Numbers as those of another dtype: the nearest ones, and which of them stay what they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritonforge.client.tensors.wire import Array

__all__ = ["cast_array", "cast_each", "is_number", "nearest"]


def is_number(dtype: np.dtype[Any]) -> bool:
    """Tell whether it is a real number or a truth value. BF16 and others of ml_dtypes have kind V, as records do."""
    return dtype.kind in "biuf" or (dtype.kind == "V" and dtype.type is not np.void)


def nearest(array: Array, wanted: np.dtype[Any]) -> Array:
    """Cast numbers; each becomes the nearest float, the even one of two.

    On the way to some types NumPy makes floats of another one, and rounds twice. Where it does, that one is rounded to
    odd, from which the second rounding gives what a single one would: https://doi.org/10.1109/TC.2007.70819.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        between = _between(array.dtype, wanted)
        if between is None:
            return array.astype(wanted)
        near = array.astype(between)
        even = near.view(f"i{near.dtype.itemsize}") & 1 == 0
        back = near.astype(array.dtype)
        for side, beyond in ((np.inf, array > back), (-np.inf, array < back)):
            moved = even & beyond
            near[moved] = np.nextafter(near[moved], between(side))
        return near.astype(wanted)


def _between(given: np.dtype[Any], wanted: np.dtype[Any]) -> type[np.float32] | type[np.float64] | None:
    """Name the floats that NumPy makes on the way, where they don't hold all that is given."""
    if wanted.name == "bfloat16" and given.itemsize >= 4 and given != np.float32:
        return np.float32
    return np.float64 if wanted == np.float16 and given == np.longdouble else None


def cast_array(array: Array, wanted: np.dtype[Any], *, rounding: bool) -> tuple[Array, NDArray[np.bool_]]:
    """Cast numbers of one dtype, and tell of each whether it stays what it is.

    With `rounding`, what becomes a float may lose digits, but doesn't become infinite. Truth values are taken for
    numbers, and no numbers for truth values.
    """
    before, after = array.dtype.kind, wanted.kind
    if not is_number(array.dtype) or (after == "b" and before != "b"):
        return np.zeros(array.shape, wanted), np.zeros(array.shape, bool)
    with np.errstate(all="ignore"):
        there = nearest(array, wanted)
        if before == "b":
            kept = np.ones(array.shape, bool)
        elif before in "iu" and after in "iu":
            kept = (there.astype(array.dtype) == array) & ((there < 0) == (array < 0))
        elif after in "iu":
            kept = _equal(there, _wide(array))
        elif rounding:
            kept = np.isfinite(_wide(there)) | ~np.isfinite(_wide(array))
        elif before in "iu":
            kept = _equal(array, _wide(there))
        else:
            kept = (_wide(there) == _wide(array)) | np.isnan(_wide(array))
    return there, kept


def cast_each(numbers: Sequence[Any], wanted: np.dtype[Any], *, rounding: bool) -> tuple[Array, NDArray[np.bool_]]:
    """Cast numbers of several kinds as `cast_array` does, each kind for itself.

    NumPy has one dtype for all of an array: of large integers beside others, or beside fractions, it makes float64.
    """
    there, kept = np.zeros(len(numbers), wanted), np.zeros(len(numbers), bool)
    places: dict[np.dtype[Any] | None, list[int]] = defaultdict(list)
    for place, number in enumerate(numbers):
        places[_dtype_of(number)].append(place)
    places.pop(None, None)
    for dtype, at in places.items():
        part = np.array([numbers[place] for place in at], dtype)
        there[at], kept[at] = cast_array(part, wanted, rounding=rounding)
    return there, kept


def _dtype_of(number: Any) -> np.dtype[Any] | None:
    """Find a dtype that holds it exactly; None for an integer past 64 bits that is no float64 either."""
    if isinstance(number, np.generic):
        return number.dtype
    if isinstance(number, (bool, float)):
        return np.dtype(type(number))
    if -(1 << 63) <= number < 1 << 64:
        return np.dtype(np.int64 if number < 1 << 63 else np.uint64)
    try:
        return np.dtype(np.float64) if float(number) == number else None
    except OverflowError:
        return None


def _wide(floats: Array) -> Array:
    """Give floats as float64, which holds those of all narrower types."""
    return floats if floats.dtype == np.longdouble else floats.astype(np.float64)


def _equal(whole: Array, floats: Array) -> NDArray[np.bool_]:
    """Compare integers with floats. As floats, the largest integers would look equal to their neighbours."""
    limits = np.iinfo(whole.dtype)
    inside = (floats >= float(limits.min)) & (floats < float(limits.max + 1)) & (floats == np.trunc(floats))
    equal: NDArray[np.bool_] = inside & (np.where(inside, floats, 0).astype(whole.dtype) == whole)
    return equal
