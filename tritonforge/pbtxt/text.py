"""The text of config.pbtxt: protobuf text format, laid out for people, and the same each time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf import text_format
from google.protobuf.descriptor import FieldDescriptor
from tritonclient.grpc import model_config_pb2 as schema

from tritonforge.ir import ModelConfig
from tritonforge.pbtxt.message import from_message, to_message

__all__ = ["emit", "parse"]

LINE = 100
"""A message that fits into so many columns stands on one line."""

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
    if _is_map(field):
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


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _is_said(message: Any, field: FieldDescriptor, value: Any) -> bool:
    if field.full_name in ALWAYS:
        return True
    return bool(message.HasField(field.name) if field.has_presence else value != field.default_value)


def _scalar(field: FieldDescriptor, value: Any) -> str:
    """Spell a value as protobuf's own text format does."""
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return str(field.enum_type.values_by_number[value].name)
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return f'"{text_format.text_encoding.CEscape(value, as_utf8=True)}"'
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return "true" if value else "false"
    return repr(value)
