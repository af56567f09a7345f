"""Lists that are given where an array is wanted: those of which NumPy makes none, or one of other values."""

from __future__ import annotations

from collections.abc import Iterable, Set

import numpy as np

__all__ = ["has_masked", "is_flat", "is_read_once", "shape_of"]

_MOST_DIMENSIONS = 64  # more than NumPy has, so that a list in itself has an end
_PLAIN = frozenset({bool, int, float, str, bytes})


def is_flat(value: object) -> bool:
    """Tell whether it is a list of plain values alone, in which there is nothing more to look for."""
    return isinstance(value, (list, tuple)) and _PLAIN.issuperset(map(type, value))


def has_masked(value: object) -> bool:
    """Tell whether a masked array, or a masked value, is in a list, or in a list within it."""
    rows: list[list[object] | tuple[object, ...]] = [value] if isinstance(value, (list, tuple)) else []
    for _ in range(_MOST_DIMENSIONS):
        kinds = set().union(*(map(type, row) for row in rows))
        if any(issubclass(kind, np.ma.MaskedArray) for kind in kinds):
            return True
        if not any(issubclass(kind, (list, tuple)) for kind in kinds):
            return False
        rows = [item for row in rows for item in row if isinstance(item, (list, tuple))]
    return False


def is_read_once(value: object) -> bool:
    """Tell whether it is a generator or the like, of which NumPy makes one object."""
    sequence = hasattr(value, "__getitem__") or hasattr(value, "__array__")
    return isinstance(value, Iterable) and not sequence and not isinstance(value, Set)


def shape_of(value: object, depth: int = _MOST_DIMENSIONS) -> tuple[int, ...]:
    """Give the shape of nested lists, arrays within them included. Raise ValueError where the rows of one differ."""
    if not isinstance(value, (list, tuple)):
        return np.shape(value) if hasattr(value, "__array__") else ()
    kinds = set(map(type, value))
    if depth == 0 or not any(issubclass(kind, (list, tuple)) or hasattr(kind, "__array__") for kind in kinds):
        return (len(value),)
    shapes = [shape_of(item, depth - 1) for item in value]
    for position, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise ValueError(f"the rows differ in shape: row 0 has {list(shapes[0])}, row {position} {list(shape)}")
    return (len(value), *shapes[0])
