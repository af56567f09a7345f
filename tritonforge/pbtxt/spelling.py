"""What was meant by a name that the schema hasn't."""

from __future__ import annotations

import difflib
import re
from functools import cache

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from tritonclient.grpc import model_config_pb2 as schema

__all__ = ["suggest_field", "suggest_scalar", "suggest_value"]

_DTYPES = {
    "TYPE_BYTE": "TYPE_STRING",
    "TYPE_BYTES": "TYPE_STRING",
    "TYPE_FLOAT": "TYPE_FP32",
    "TYPE_FLOAT16": "TYPE_FP16",
    "TYPE_FLOAT32": "TYPE_FP32",
    "TYPE_FLOAT64": "TYPE_FP64",
    "TYPE_DOUBLE": "TYPE_FP64",
    "TYPE_HALF": "TYPE_FP16",
    "TYPE_BFLOAT16": "TYPE_BF16",
    "TYPE_INT": "TYPE_INT32",
    "TYPE_LONG": "TYPE_INT64",
}

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,2})?")


def suggest_field(name: str, message: Descriptor) -> str:
    """Say which field of the message was meant, or where in the schema the name belongs."""
    names = list(message.fields_by_name)
    elsewhere = _homes().get(name, ())
    if elsewhere:
        return f"{name} belongs into {' or '.join(elsewhere)}"
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    return f"its fields are {', '.join(sorted(names))}"


def suggest_value(name: str, field: FieldDescriptor) -> str:
    """Say which name of an enum was meant."""
    names = [value.name for value in field.enum_type.values if value.name != "TYPE_INVALID"]
    meant = _DTYPES.get(name) or _DTYPES.get(f"TYPE_{name}")
    if meant not in names:
        candidates = (name, f"TYPE_{name}".upper(), f"KIND_{name}".upper(), f"CONTROL_SEQUENCE_{name}".upper())
        meant = next((candidate for candidate in candidates if candidate in names), None)
    if meant is None:
        meant = next(iter(difflib.get_close_matches(name.upper(), names, n=1, cutoff=0.6)), None)
    return f"did you mean {meant}?" if meant else f"its values are {', '.join(names)}"


def suggest_scalar(text: str, field: FieldDescriptor) -> str:
    """Say how a value was meant that is written as one of another type; "" where that is open."""
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return f'in quotes: "{text}"' if re.fullmatch(r"[\w.]+", text) else ""
    quoted = len(text) > 1 and text[0] in "\"'" and text[-1] == text[0]
    inner = text[1:-1] if quoted else text
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        known = quoted and inner in field.enum_type.values_by_name
        return f"without quotes: {inner}" if known else suggest_value(inner, field)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return f"without quotes: {inner.lower()}" if quoted and inner.lower() in ("true", "false") else ""
    if not _NUMBER.fullmatch(inner) or (inner.isdecimal() and not quoted):
        return ""
    if field.cpp_type in (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE):
        return f"without quotes: {inner}"
    return f"write {int(float(inner))}" if float(inner).is_integer() and abs(float(inner)) < 2**31 else ""


@cache
def _homes() -> dict[str, tuple[str, ...]]:
    """Give the fields of ModelConfig that have a field of a name in them, at any depth."""
    homes: dict[str, set[str]] = {}
    for top in schema.ModelConfig.DESCRIPTOR.fields:
        _collect(top, top.name, homes, depth=0)
    return {name: tuple(sorted(found)) for name, found in homes.items() if len(found) <= 2}


def _collect(field: FieldDescriptor, path: str, homes: dict[str, set[str]], *, depth: int) -> None:
    if field.message_type is None or depth > 3 or field.message_type.GetOptions().map_entry:
        return
    for inner in field.message_type.fields:
        homes.setdefault(inner.name, set()).add(path)
        _collect(inner, f"{path}.{inner.name}", homes, depth=depth + 1)
