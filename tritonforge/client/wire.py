"""Tensors as bytes and back, as Triton's binary tensor data extension and gRPC's raw contents have them.

https://github.com/kserve/open-inference-protocol: numbers are little-endian and row-major; each element of a BYTES
tensor follows its length, an unsigned little-endian integer of four bytes. This machine is taken to be little-endian,
as all are that Triton runs on.
"""

from __future__ import annotations

import math
import struct
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritonforge.client.message import Buffer
from tritonforge.dtypes import DTYPES
from tritonforge.errors import InvalidTensor

__all__ = ["Array", "decode", "encode", "numpy_dtype"]

Array = NDArray[Any]

_LENGTH = struct.Struct("<I")


def encode(array: Array, datatype: str) -> Buffer:
    """Give the bytes of an array whose dtype is the one of `datatype`: a view of it where possible, else a copy.

    Raise InvalidTensor where an element of a BYTES array is neither str nor bytes.
    """
    if datatype == "BYTES":
        return _encode_strings(array)
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    # BF16 has no buffer format of its own; as bytes, all types have one.
    view: memoryview = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    return view


def decode(datatype: str, shape: tuple[int, ...], data: Buffer) -> Array:
    """Make an array of a tensor's bytes, writable and aligned; object arrays of bytes for BYTES.

    Its memory is its own; or that of a whole response of which it is the most, since nobody else has that.

    Raise InvalidTensor where the bytes are not those of such a tensor.
    """
    dtype = numpy_dtype(datatype)
    if dtype is None:
        raise InvalidTensor(f"the datatype {datatype} is unknown; known are {', '.join(DTYPES)}")
    if shape and min(shape) < 0:
        raise InvalidTensor(f"the shape {list(shape)} has a negative dimension")
    if datatype == "BYTES":
        return _decode_strings(data, math.prod(shape)).reshape(shape)
    try:
        array = np.frombuffer(data, dtype).reshape(shape)
    except ValueError as error:
        wanted = math.prod(shape) * dtype.itemsize
        raise InvalidTensor(f"{datatype}{list(shape)} takes {wanted} bytes, but {len(data)} came") from error
    return array if _is_most_of_its_memory(data) and array.flags.aligned else array.copy()


@cache
def numpy_dtype(datatype: str) -> np.dtype[Any] | None:
    """Find the NumPy type of a Triton datatype; None for an unknown one."""
    dtype = DTYPES.get(datatype)
    return None if dtype is None else dtype.numpy


def _is_most_of_its_memory(data: Buffer) -> bool:
    """Tell whether these bytes are most of an array that was made to receive them, as large HTTP responses are."""
    if not isinstance(data, memoryview) or data.readonly:
        return False
    memory = data.obj
    return isinstance(memory, np.ndarray) and memory.flags.owndata and 2 * data.nbytes > memory.nbytes


def _encode_strings(array: Array) -> Buffer:
    if array.dtype.kind in "SU" and array.size and array.itemsize:
        array = _ascii(array.ravel())
        if array.dtype.kind == "S" and array.view(np.uint8)[array.itemsize - 1 :: array.itemsize].all():
            return _encode_full_width(array)
    elements = array.ravel().tolist()
    kinds = set(map(type, elements))
    if kinds == {str}:
        elements = _all_utf8(elements)
    elif kinds - {bytes}:
        elements = [_as_bytes(element) for element in elements]
    parts: list[bytes] = [b""] * (2 * len(elements))
    parts[0::2] = map(_packed_length, map(len, elements))
    parts[1::2] = elements
    return b"".join(parts)


def _ascii(array: Array) -> Array:
    """Make bytes of fixed-width text where it is ASCII: four times fewer of them."""
    array = np.ascontiguousarray(array)
    if array.dtype.kind == "S":
        return array
    points = array.view(array.dtype.byteorder + "u4")
    return points.astype(np.uint8).view(f"S{array.itemsize // 4}") if points.max() < 128 else array


def _encode_full_width(array: Array) -> Buffer:
    """Write strings that all have one length."""
    rows = np.empty((array.size, _LENGTH.size + array.itemsize), np.uint8)
    rows[:, : _LENGTH.size] = np.frombuffer(_LENGTH.pack(array.itemsize), np.uint8)
    rows[:, _LENGTH.size :] = array.view(np.uint8).reshape(array.size, -1)
    data: memoryview = rows.reshape(-1).data
    return data


@lru_cache(maxsize=4096)
def _packed_length(length: int) -> bytes:
    return _LENGTH.pack(length)


def _as_bytes(element: object) -> bytes:
    if isinstance(element, bytes):
        return bytes(element)
    if isinstance(element, str):
        return _utf8(element)
    raise InvalidTensor(f"an element is {element!r} ({type(element).__name__}); a BYTES tensor holds str or bytes")


def _all_utf8(texts: list[str]) -> list[bytes]:
    try:
        return list(map(str.encode, texts))
    except UnicodeEncodeError:
        return list(map(_utf8, texts))  # which names the one that can't be


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidTensor(f"the text {text!r} can't be encoded as UTF-8: {error}") from error


def _decode_strings(data: Buffer, count: int) -> Array:
    data = bytes(data)
    if count * _LENGTH.size > len(data):
        raise InvalidTensor(f"{count} elements of BYTES take more than the {len(data)} bytes that came")
    array = np.empty(count, object)
    unpack, offset = _LENGTH.unpack_from, 0
    try:
        for index in range(count):
            start = offset + 4
            offset = start + unpack(data, offset)[0]
            array[index] = data[start:offset]
    except struct.error:
        offset = -1
    if offset != len(data):
        raise InvalidTensor(f"{count} elements of BYTES don't end where the {len(data)} bytes that came do")
    return array
