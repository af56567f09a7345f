"""Values that people typed or saved, as arrays of the dtype that a model wants: never silently another value.

Whole numbers and booleans are kept exactly, or refused. A float becomes the nearest one of the wanted type, as any
decimal does, but never infinity.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritonforge.client.tensors.narrowing import nearest
from tritonforge.dtypes import DTYPES, from_numpy

__all__ = ["cast_array", "cast_values"]

Array = NDArray[Any]

_NOT_NUMBERS = {"nan": np.nan, "inf": np.inf, "infinity": np.inf, "-inf": -np.inf, "-infinity": -np.inf}


def cast_values(values: Sequence[object], datatype: str) -> Array:
    """Make a flat array of parsed JSON values. Raise ValueError, naming the first that isn't a `datatype`."""
    if datatype == "BYTES":
        strings = np.empty(len(values), object)
        strings[:] = [_string(value) for value in values]
        return strings
    if datatype == "BOOL":
        return np.array([_boolean(value) for value in values], bool)
    dtype: np.dtype[Any] = DTYPES[datatype].numpy
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return np.array([_integer(value, int(limits.min), int(limits.max), datatype) for value in values], dtype)
    return _floats([_number(value) for value in values], datatype)


def cast_array(array: Array, datatype: str) -> Array:
    """Cast a saved array. Raise ValueError, naming the first value that a `datatype` can't hold."""
    wanted = DTYPES[datatype]
    found = from_numpy(array.dtype)
    if found is wanted:
        return array
    if found is None or "BYTES" in (datatype, found.name) or found.name == "BOOL":
        raise ValueError(f"it holds {found or array.dtype}")
    if datatype == "BOOL":
        return cast_values(array.ravel().tolist(), datatype).reshape(array.shape)
    if _is_float(wanted.numpy):
        if array.dtype.kind in "iu":
            return _whole(array, datatype)
        return _narrowed(array, datatype)
    with np.errstate(invalid="ignore"):
        cast: Array = array.astype(wanted.numpy)
        wrong = (cast != array) | ((cast < 0) != (array < 0))
    # Compared as floats, the largest integers look equal to their neighbours: only Python's own numbers are sure.
    if not wrong.any() and array.dtype.kind not in "iu":
        wrong = np.abs(array.astype(np.float64)) >= 2.0**63
    if wrong.any():
        return cast_values(array.ravel().tolist(), datatype).reshape(array.shape)
    return cast


def _is_float(dtype: np.dtype[Any]) -> bool:
    return dtype.kind == "f" or dtype.name == "bfloat16"


def _whole(array: Array, datatype: str) -> Array:
    """Make floats of an array of integers."""
    try:
        return _floats(array.ravel().tolist(), datatype).reshape(array.shape)
    except ValueError as error:
        found = from_numpy(array.dtype)
        hint = f"the file holds {found}; if rounding is meant, save it as float64"
        raise ValueError(f"{error}; {hint}") from error


def _floats(numbers: list[int | float], datatype: str) -> Array:
    """Make floats of numbers; whole ones must survive exactly."""
    try:
        wide = np.array(numbers, np.float64)
    except OverflowError as error:
        raise ValueError(f"a number is too large for {datatype}") from error
    cast = _narrowed(wide, datatype)
    back = cast.astype(np.float64).tolist()
    for number, kept in zip(numbers, back, strict=True):
        if isinstance(number, int) and number != kept:
            raise ValueError(f"{number} would become {kept:.0f} in {datatype}, which can't hold it exactly")
    return cast


def _narrowed(array: Array, datatype: str) -> Array:
    cast = nearest(array, DTYPES[datatype].numpy)
    lost = np.isinf(cast.astype(np.float64)) & ~np.isinf(array.astype(np.float64))
    if lost.any():
        raise ValueError(f"{array[lost].flat[0]} is too large for {datatype}")
    return cast


def _integer(value: object, low: int, high: int, datatype: str) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{_spelled(value)} is not a whole number")  # noqa: TRY004
    if not low <= value <= high:
        raise ValueError(f"{value} is outside {datatype}'s range, {low} to {high}")
    return value


def _number(value: object) -> int | float:
    if isinstance(value, str) and value.lower() in _NOT_NUMBERS:
        return _NOT_NUMBERS[value.lower()]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{_spelled(value)} is not a number")  # noqa: TRY004
    return value


def _boolean(value: object) -> bool:
    if isinstance(value, (bool, int)) and value in (0, 1):
        return bool(value)
    raise ValueError(f"{_spelled(value)} is not true or false")


def _string(value: object) -> str | bytes:
    if isinstance(value, (str, bytes)):
        return value
    raise ValueError(f'{_spelled(value)} is not a string; for text, put it in quotes: "{_spelled(value)}"')


def _spelled(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
