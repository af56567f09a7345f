"""The text of config.pbtxt: protobuf text format, laid out for people, and the same each time."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import Any

from google.protobuf import text_format
from google.protobuf.descriptor import FieldDescriptor
from tritonclient.grpc import model_config_pb2 as schema

from tritonforge.ir import ModelConfig
from tritonforge.pbtxt.message import from_message, is_map, to_message

__all__ = ["emit", "parse"]

LINE = 100
"""A message that fits into so many columns stands on one line."""

FLOAT_LIMIT = 3.4028235677973366e38
"""Smaller numbers round to a float of 32 bits; larger ones to infinity."""

ALWAYS = frozenset({"inference.ModelConfig.max_batch_size", "inference.ModelTensorReshape.shape"})
"""Fields that are written also where they have their default: Triton's own tools want 0 said, and people the shape."""


def emit(config: ModelConfig) -> str:
    """Write config.pbtxt."""
    return "\n".join(_lines(to_message(config), "")) + "\n"


def parse(text: str) -> ModelConfig:
    """Read config.pbtxt.

    Raises:
        ValueError: the text isn't a ModelConfig; the message gives line and column.
    """
    message = schema.ModelConfig()
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        raise ValueError(str(error)) from error
    return from_message(message)


def _lines(message: Any, indent: str) -> Iterator[str]:
    for field in message.DESCRIPTOR.fields:
        for value in _values(message, field):
            if field.cpp_type != FieldDescriptor.CPPTYPE_MESSAGE:
                yield f"{indent}{field.name}: {value}"
                continue
            body = list(_lines(value, indent + "  "))
            short = f"{indent}{field.name} {{ {' '.join(line.strip() for line in body)} }}".replace("{  }", "{}")
            if len(short) <= LINE and not any("\n" in line for line in body):
                yield short
            else:
                yield f"{indent}{field.name} {{"
                yield from body
                yield f"{indent}}}"


def _values(message: Any, field: FieldDescriptor) -> Iterator[Any]:
    """Give what is to be written of a field: scalars as text, a list of scalars as one, messages as they are."""
    value = getattr(message, field.name)
    if is_map(field):
        entry = field.message_type._concrete_class
        yield from (entry(key=key, value=value[key]) for key in sorted(value))
    elif field.is_repeated:
        if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
            yield from value
        elif value or field.full_name in ALWAYS:
            yield f"[ {', '.join(_scalar(field, item) for item in value)} ]" if value else "[]"
    elif field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        if message.HasField(field.name):
            yield value
    elif _is_said(message, field, value):
        yield _scalar(field, value)


def _is_said(message: Any, field: FieldDescriptor, value: Any) -> bool:
    if field.full_name in ALWAYS:
        return True
    if field.has_presence:
        return bool(message.HasField(field.name))
    return bool(value != field.default_value) or (isinstance(value, float) and math.copysign(1, value) < 0)


def _scalar(field: FieldDescriptor, value: Any) -> str:
    """Spell a value as protobuf's own text format does."""
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        known = field.enum_type.values_by_number.get(value)
        return str(value if known is None else known.name)
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return f'"{text_format.text_encoding.CEscape(value, as_utf8=True)}"'
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return "true" if value else "false"
    return _shortest(value) if field.cpp_type == FieldDescriptor.CPPTYPE_FLOAT else repr(value)


def _shortest(value: float) -> str:
    """Write a float of 32 bits with as few digits as give it back: 0.1, not 0.10000000149011612."""
    spellings = (float(f"{value:.{digits}g}") for digits in range(6, 10))
    exact = (spelling for spelling in spellings if abs(spelling) < FLOAT_LIMIT and _single(spelling) == value)
    return repr(next(exact, value))


def _single(value: float) -> float:
    return float(struct.unpack("f", struct.pack("f", value))[0])
