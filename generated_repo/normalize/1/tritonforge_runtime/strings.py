"""BYTES tensors between Triton's byte strings and what the user's Python reads and writes."""

from __future__ import annotations

import numpy as np

from .batch import Array
from .errors import InvalidResult, InvalidText

__all__ = ["as_bytes", "as_text", "decode", "encode", "require_text", "require_utf8", "unencodable"]

_PLAIN = {bytes, str}


def decode(array: Array, name: str) -> Array:
    """Turn an array of `bytes` into one of `str`.

    Raises:
        InvalidText: an element isn't UTF-8; the message names the tensor and the element.
    """
    items = array.ravel().tolist()
    try:
        return _objects([item.decode() for item in items], array.shape)
    except UnicodeDecodeError as error:
        index = next(place for place, item in enumerate(items) if item == error.object)
        raise InvalidText(
            f'input "{name}" is not valid UTF-8 at {list(map(int, np.unravel_index(index, array.shape)))}: '
            f"byte 0x{error.object[error.start]:02x} at position {error.start}",
            "INVALID_ARG",
        ) from None


def encode(array: Array, place: str) -> Array:
    """Turn an array of strings of any NumPy kind into the object array of `str` or `bytes` that Triton's backend takes.

    Raises:
        InvalidResult: an element of this `place` is neither, which Triton would silently send as its `str()`.
    """
    if array.dtype.kind in "SU":
        return array.astype(object)
    items = array.ravel().tolist()
    if _PLAIN.issuperset(map(type, items)):
        return array
    plain: list[bytes | str] = []
    for item in items:
        if not isinstance(item, bytes | str):
            raise InvalidResult(f"{place} holds {type(item).__name__} {item!r}; wanted str or bytes")
        # Triton asks for the very type: it would send a subclass of bytes, such as np.bytes_, as its repr.
        plain.append(bytes(item) if isinstance(item, bytes) else str(item))
    return _objects(plain, array.shape)


def require_text(array: Array, place: str) -> None:
    """Look at the `bytes` among strings that are to be text.

    Raises:
        InvalidResult: some of them aren't UTF-8.
    """
    for item in array.ravel().tolist():
        if type(item) is bytes:
            try:
                item.decode()
            except UnicodeDecodeError as error:
                reason = f"bytes that are not UTF-8 ({error}); annotate it as Bytes"
                raise InvalidResult(f"{place} holds {reason}") from None


def require_utf8(array: Array, place: str) -> None:
    """Look at strings that nothing has encoded yet.

    Raises:
        InvalidResult: one of them can't be UTF-8.
    """
    for item in array.ravel().tolist():
        try:
            _ = isinstance(item, str) and item.encode()
        except UnicodeEncodeError as error:
            raise InvalidResult(unencodable(place, error)) from None


def unencodable(place: str, error: UnicodeEncodeError) -> str:
    """Say which character of a string can't be UTF-8."""
    return f"{place} holds {error.object[error.start]!r}, half of a surrogate pair, which UTF-8 has not"


def as_text(array: Array, name: str) -> Array:
    """Turn strings of any kind into an object array of `str`, as a model gets them that reads text.

    Raises:
        InvalidText: an element isn't UTF-8; the message names the tensor and the element.
    """
    return decode(as_bytes(array, name), name)


def as_bytes(array: Array, name: str) -> Array:
    """Turn strings of any kind into an object array of `bytes`, as a model gets them that reads raw strings."""
    items = encode(array, f'input "{name}"').ravel().tolist()
    return _objects([item.encode() if isinstance(item, str) else item for item in items], array.shape)


def _objects(items: list[bytes] | list[str] | list[bytes | str], shape: tuple[int, ...]) -> Array:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array.reshape(shape)
