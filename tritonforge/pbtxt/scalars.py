"""Scalars of protobuf's text format, read as the C++ parser does, by the type of their field."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf import text_format
from google.protobuf.descriptor import FieldDescriptor

from tritonforge.text_format import Token

__all__ = ["ScalarError", "read_scalar"]

_TRUE = {"true", "True", "t", "1"}
_FALSE = {"false", "False", "f", "0"}
_SPECIAL = {"inf", "infinity", "nan"}
_RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_FLOATS = (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)


class ScalarError(ValueError):
    """A value that the field can't hold."""


def read_scalar(tokens: Sequence[Token], start: int, field: FieldDescriptor) -> tuple[bool | int | float | str, int]:
    """Read the value that begins at a token; give it and the token after it.

    Raises:
        ScalarError: it is of another type, or out of the type's range.
    """
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return _read_string(tokens, start, field)
    negative = tokens[start].kind == "symbol" and tokens[start].text == "-"
    token = tokens[start + negative]
    after = start + negative + 1
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return _read_bool(token, field, negative=negative), after
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return _read_enum(token, field, negative=negative), after
    if field.cpp_type in _FLOATS:
        return _read_float(token, field, negative=negative), after
    return _read_integer(token, field, negative=negative), after


def _read_string(tokens: Sequence[Token], start: int, field: FieldDescriptor) -> tuple[str, int]:
    end = start
    while tokens[end].kind == "string":
        end += 1
    if end == start:
        raise ScalarError(f"{field.name} is a string; found {_show(tokens[start])}")
    parts = b"".join(_unescape(token.text[1:-1]) for token in tokens[start:end])
    try:
        return parts.decode(), end
    except UnicodeDecodeError:
        raise ScalarError(f"{field.name} is no UTF-8") from None


def _unescape(text: str) -> bytes:
    try:
        return bytes(text_format.text_encoding.CUnescape(text))
    except (ValueError, UnicodeError) as error:
        raise ScalarError(f"a string has an escape that is none: {error}") from None


def _read_bool(token: Token, field: FieldDescriptor, *, negative: bool) -> bool:
    if not negative and token.kind in ("name", "int"):
        if token.text in _TRUE:
            return True
        if token.text in _FALSE:
            return False
    raise ScalarError(f"{field.name} is true or false; found {_show(token, negative=negative)}")


def _read_enum(token: Token, field: FieldDescriptor, *, negative: bool) -> int:
    if token.kind == "int":  # proto3 keeps numbers that have no name
        return _integer(token, negative=negative)
    if token.kind == "name" and not negative:
        value = field.enum_type.values_by_name.get(token.text)
        if value is not None:
            return int(value.number)
        raise ScalarError(f"{token.text} is no value of {field.name}")
    raise ScalarError(f"{field.name} is one of a set of names; found {_show(token, negative=negative)}")


def _read_float(token: Token, field: FieldDescriptor, *, negative: bool) -> float:
    if token.kind == "float" or (token.kind == "int" and not token.text.lower().startswith("0x")):
        value = float(token.text.rstrip("fF"))
    elif token.kind == "name" and token.text.lower() in _SPECIAL:
        value = float(token.text)
    else:
        raise ScalarError(f"{field.name} is a number; found {_show(token, negative=negative)}")
    return -value if negative else value


def _read_integer(token: Token, field: FieldDescriptor, *, negative: bool) -> int:
    if token.kind != "int":
        raise ScalarError(f"{field.name} is an integer; found {_show(token, negative=negative)}")
    value = _integer(token, negative=negative)
    lowest, highest = _RANGES[field.cpp_type]
    if not lowest <= value <= highest or (negative and lowest == 0):
        raise ScalarError(f"{field.name} is an integer from {lowest} to {highest}; found {value}")
    return value


def _integer(token: Token, *, negative: bool) -> int:
    text = token.text.lower()
    base = 16 if text.startswith("0x") else 8 if text.startswith("0") else 10
    value = int(text, base)
    return -value if negative else value


def _show(token: Token, *, negative: bool = False) -> str:
    return f"{'-' if negative else ''}{token.text}" or "the end of the text"
