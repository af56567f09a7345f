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

from tritonforge.dtypes import DTYPES
from tritonforge.errors import InvalidTensor

__all__ = ["Array", "Buffer", "decode", "encode", "numpy_dtype", "small_dtype", "stand_in"]

Array = NDArray[Any]

Buffer = bytes | bytearray | memoryview
"""Bytes of a tensor, or a view of them."""

_LENGTH = struct.Struct("<I")
_WIDEST_RAGGED = 120  # bytes of a string, up to which looking at each is quicker than a Python object for all
_FEWEST_RAGGED = 256
_SMALL = 1 << 12  # bytes, up to which the quickest way is a copy


def encode(array: Array, datatype: str) -> Buffer:
    """Give the bytes of an array whose dtype is the one of `datatype`: a view of it where possible, else a copy.

    Raise InvalidTensor where an element of a BYTES array is neither str nor bytes.
    """
    if datatype == "BYTES":
        return _encode_strings(array)
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    if array.nbytes <= _SMALL:
        return array.tobytes()
    # BF16 has no buffer format of its own; as bytes, all types have one.
    view: memoryview = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    return view


def decode(datatype: str, shape: tuple[int, ...], data: Buffer) -> Array:
    """Make an array of a tensor's bytes, writable and aligned; object arrays of bytes for BYTES.

    Its memory is its own; or that of a whole response of which it is the most, since nobody else has that.

    Raise InvalidTensor where the bytes are not those of such a tensor.
    """
    dtype = small_dtype(datatype, shape, len(data))
    if dtype is not None:
        return np.ndarray(shape, dtype, data).copy()
    dtype = numpy_dtype(datatype)
    if dtype is None:
        raise InvalidTensor(f"the datatype {datatype} is unknown; known are {', '.join(DTYPES)}")
    if shape and min(shape) < 0:
        raise InvalidTensor(f"the shape {list(shape)} has a negative dimension")
    if datatype == "BYTES":
        strings = _decode_strings(data, math.prod(shape))
        try:
            return strings.reshape(shape)
        except ValueError as error:
            raise _impossible(shape) from error
    try:
        array = np.frombuffer(data, dtype).reshape(shape)
    except ValueError as error:
        wanted = math.prod(shape) * dtype.itemsize
        if wanted == len(data):
            raise _impossible(shape) from error
        raise InvalidTensor(f"{datatype}{list(shape)} takes {wanted} bytes, but {len(data)} came") from error
    return array if _is_most_of_its_memory(data) and array.flags.aligned else array.copy()


def stand_in(datatype: str, shape: tuple[int, ...]) -> Array:
    """Make what has the shape and dtype of a tensor that lies elsewhere, and takes no memory.

    Raise InvalidTensor where there is no such tensor of numbers.
    """
    dtype = numpy_dtype(datatype)
    if dtype is not None and not dtype.hasobject and (array := _repeated(dtype, shape)) is not None:
        return array
    raise InvalidTensor(f"{datatype}{list(shape)} is no tensor of numbers")


@lru_cache(maxsize=4096)
def small_dtype(datatype: str, shape: tuple[int, ...], size: int) -> np.dtype[Any] | None:
    """Give the dtype of a small tensor of numbers that takes that many bytes; None for any other."""
    dtype = numpy_dtype(datatype)
    if dtype is None or datatype == "BYTES" or size > _SMALL or size != math.prod(shape) * dtype.itemsize:
        return None
    return None if _repeated(dtype, shape) is None else dtype


@cache
def numpy_dtype(datatype: str) -> np.dtype[Any] | None:
    """Find the NumPy type of a Triton datatype; None for an unknown one."""
    dtype = DTYPES.get(datatype)
    return None if dtype is None else dtype.numpy


def _repeated(dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array | None:
    """Make an array of one element, again and again, which takes no memory; None where no array has such a shape."""
    try:
        return np.broadcast_to(np.zeros((), dtype), shape)
    except ValueError:  # of a dimension below 0, of many dimensions, or of more than NumPy counts, also beside a 0
        return None


def _impossible(shape: tuple[int, ...]) -> InvalidTensor:
    return InvalidTensor(f"no array has the shape {list(shape)}: NumPy can't count that far, or so many dimensions")


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
        if array.dtype.kind == "S" and array.itemsize <= _WIDEST_RAGGED and array.size >= _FEWEST_RAGGED:
            return _encode_ragged(array)
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


def _encode_ragged(array: Array) -> Buffer:
    """Write strings shorter than their width: each whole, over the filling of those before, and then all lengths.

    NumPy assigns to a list of indices in its order.
    """
    width = array.itemsize
    lengths = _lengths(array)
    starts = np.cumsum(lengths + _LENGTH.size)
    total = int(starts[-1])
    starts -= lengths + _LENGTH.size
    memory = np.empty(total + width, np.uint8)  # the last one's filling, too
    places = total - _LENGTH.size + 1  # at which an element may begin: at any byte
    np.ndarray(places, f"V{width}", memory, _LENGTH.size, strides=(1,))[starts] = array.view(f"V{width}")
    np.ndarray(places, "<u4", memory, strides=(1,))[starts] = lengths
    data: memoryview = memory[:total].data
    return data


def _lengths(array: Array) -> Array:
    """Find where strings end: NULs inside one are of it, those at its end are not."""
    width = array.itemsize
    filled = np.zeros((array.size, -(-width // 8) * 8), bool)
    np.not_equal(array.view(np.uint8).reshape(-1, width), 0, out=filled[:, :width])
    # The last byte that is set, of eight at once: as a number they are 2 to the power of 8 times its place, and less
    # than double that; so the exponent of the number as a float64, which is biased by 1023, tells.
    powers = filled.view(np.int64).astype(np.float64).view(np.int64)
    powers >>= 52 + 3
    ends = np.zeros(array.size, np.int64)
    for column in range(powers.shape[1]):  # one at a time: NumPy takes longer for the largest of a few
        np.maximum(ends, powers[:, column] + (8 * column + 1 - (1023 >> 3)), out=ends)
    return ends


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
