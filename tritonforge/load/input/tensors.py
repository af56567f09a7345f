"""Arrays as the bytes of tensors, and back: little-endian, row-major; BYTES elements after their four-byte lengths.

And as the values that JSON has.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritonforge.dtypes import DTYPES

__all__ = ["from_bytes", "to_bytes", "to_values"]


def to_bytes(array: NDArray[Any], datatype: str) -> bytes:
    """Give a tensor's bytes, the values cast to its type."""
    if datatype != "BYTES":
        return np.ascontiguousarray(array, DTYPES[datatype].numpy).tobytes()
    items = [item if isinstance(item, bytes) else str(item).encode() for item in array.ravel().tolist()]
    return b"".join(struct.pack("<I", len(item)) + item for item in items)


def to_values(array: NDArray[Any]) -> list[Any]:
    """Give a tensor's elements for JSON, flat, row-major."""
    if array.dtype.kind in "OSU":
        return [item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item) for item in array.ravel()]
    if array.dtype.kind not in "biuf":  # bfloat16
        array = array.astype(np.float32)
    values: list[Any] = array.ravel().tolist()
    return values


def from_bytes(data: bytes, datatype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Give the array of a tensor's bytes. Raise ValueError where they are not those of such a tensor."""
    if datatype != "BYTES":
        return np.frombuffer(data, DTYPES[datatype].numpy).reshape(shape)
    items, offset = [], 0
    while offset + 4 <= len(data):
        size = int.from_bytes(data[offset : offset + 4], "little")
        items.append(data[offset + 4 : offset + 4 + size])
        offset += 4 + size
    array = np.empty(len(items), object)
    array[:] = items
    return array.reshape(shape)
