"""Tensors as bytes and back, as Triton's binary tensor data extension and gRPC's raw contents have them.

https://github.com/kserve/open-inference-protocol: numbers are little-endian and row-major; each element of a BYTES
tensor follows its length, an unsigned little-endian integer of four bytes. This machine is taken to be little-endian,
as all are that Triton runs on.
"""

from __future__ import annotations

import math
import struct
from functools import cache
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
    """Make an array of a tensor's bytes: its own memory, writable and aligned; object arrays of bytes for BYTES.

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
        return np.frombuffer(data, dtype).reshape(shape).copy()
    except ValueError as error:
        wanted = math.prod(shape) * dtype.itemsize
        raise InvalidTensor(f"{datatype}{list(shape)} takes {wanted} bytes, but {len(data)} came") from error


@cache
def numpy_dtype(datatype: str) -> np.dtype[Any] | None:
    """Find the NumPy type of a Triton datatype; None for an unknown one."""
    dtype = DTYPES.get(datatype)
    return None if dtype is None else dtype.numpy


def _encode_strings(array: Array) -> bytes:
    elements = array.ravel().tolist()
    kinds = set(map(type, elements))
    if kinds == {str}:
        elements = list(map(_utf8, elements))
    elif kinds - {bytes}:
        elements = [_as_bytes(element) for element in elements]
    parts: list[bytes] = [b""] * (2 * len(elements))
    parts[0::2] = map(_LENGTH.pack, map(len, elements))
    parts[1::2] = elements
    return b"".join(parts)


def _as_bytes(element: object) -> bytes:
    if isinstance(element, bytes):
        return bytes(element)
    if isinstance(element, str):
        return _utf8(element)
    raise InvalidTensor(f"an element is {element!r} ({type(element).__name__}); a BYTES tensor holds str or bytes")


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
