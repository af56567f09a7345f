"""Arrays as the bytes of tensors, and back: little-endian, row-major; BYTES elements after their four-byte lengths.

And as the values that JSON has.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritonforge.dtypes import DTYPES
from tritonforge.load.errors import InvalidLoad

__all__ = ["from_bytes", "to_bytes", "to_values"]

_SHOWN = 20
"""Bytes that are shown of some that can't be sent."""


def to_bytes(array: NDArray[Any], datatype: str) -> bytes:
    """Give a tensor's bytes, the values cast to its type."""
    if datatype != "BYTES":
        return np.ascontiguousarray(array, DTYPES[datatype].numpy).tobytes()
    items = [item if isinstance(item, bytes) else str(item).encode() for item in array.ravel().tolist()]
    return b"".join(struct.pack("<I", len(item)) + item for item in items)


def to_values(name: str, array: NDArray[Any]) -> list[Any]:
    """Give an input's elements for JSON, flat, row-major. Raise InvalidLoad for bytes that it has no way to say."""
    if array.dtype.kind in "OSU":
        try:
            return [item.decode() if isinstance(item, bytes) else str(item) for item in array.ravel()]
        except UnicodeDecodeError as error:
            shown = bytes(error.object[:_SHOWN])
            reason = f'input "{name}" has bytes that are not UTF-8, which JSON can\'t hold: {shown!r}'
            raise InvalidLoad(f"{reason}; send them as they are: in a binary body, or over gRPC") from error
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
