"""`ir.ModelConfig` ⇄ Triton's `ModelConfig` protobuf message.

One walk in each direction, over the fields of the records and the descriptors of the messages together;
`ir.bindings` says where the two are spelled differently.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, TypeVar, cast

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from tritonclient.grpc import model_config_pb2 as schema

from tritonforge.ir import Binding, ModelConfig, bindings

__all__ = ["fields", "from_dict", "from_message", "to_dict", "to_message"]

T = TypeVar("T")


def to_message(config: ModelConfig) -> Any:
    """Make the protobuf message of a configuration.

    Raises:
        ValueError: a value that the schema has no place for: an unknown kind, a format on an output, a number out of
            range, a field of `extra` that doesn't exist.
    """
    message = schema.ModelConfig()
    try:
        _write(config, message)
        _add(message, json.loads(config.extra or "{}"))
    except json_format.ParseError as error:
        raise ValueError(f"extra: {error}") from error
    return message


def _add(message: Any, content: Mapping[str, Any]) -> None:
    """Add JSON-like data to a message: lists are appended, groups merged, maps merged key by key, values replaced.

    Raises:
        ParseError: the schema has no place for it.
    """
    added = type(message)()
    json_format.ParseDict(content, added)
    message.MergeFrom(added)
    _replace(message, added, content)


def _replace(message: Any, added: Any, content: Mapping[str, Any]) -> None:
    """Set the values that are a default's, which merging takes for not given: false, 0."""
    fields = {key: field for field in message.DESCRIPTOR.fields for key in (field.name, field.json_name)}
    for key, value in content.items():
        field = fields[key]
        if field.is_repeated or value is None:
            continue
        if field.message_type is None:
            setattr(message, field.name, getattr(added, field.name))
        elif isinstance(value, Mapping):
            _replace(getattr(message, field.name), getattr(added, field.name), value)


def from_message(message: Any) -> ModelConfig:
    """Read a configuration from a protobuf message."""
    return _read(ModelConfig, message, {"extra": _extra(message)})


def to_dict(config: ModelConfig) -> dict[str, Any]:
    """Give a configuration as JSON-like data by the fields' protobuf names, as `extra` has it."""
    content: dict[str, Any] = json_format.MessageToDict(to_message(config), preserving_proto_field_name=True)
    return content


def from_dict(content: Mapping[str, Any]) -> ModelConfig:
    """Read a configuration from JSON-like data by the fields' protobuf names.

    Raises:
        ValueError: it has another field, or a value that its field can't have.
    """
    try:
        return from_message(json_format.ParseDict(dict(content), schema.ModelConfig()))
    except json_format.ParseError as error:
        raise ValueError(str(error)) from error


def fields() -> frozenset[str]:
    """Give the names of all fields of ModelConfig that the installed schema has."""
    return frozenset(schema.ModelConfig.DESCRIPTOR.fields_by_name)


def is_map(field: FieldDescriptor) -> bool:
    """Say whether a field is a `map<…>`."""
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _write(record: Any, message: Any) -> None:
    """Fill a message from a record, one field after the other."""
    fields = message.DESCRIPTOR.fields_by_name
    for binding in bindings(type(record)):
        value = getattr(record, binding.attribute)
        if binding.name == "extra" or value is None:
            continue
        if binding.name in fields:
            _set(message, fields[binding.name], value, binding.wraps)
        elif value and value != "FORMAT_NONE":
            raise ValueError(f"{message.DESCRIPTOR.name} has no field {binding.name}")


def _set(message: Any, field: FieldDescriptor, value: Any, wraps: str | None) -> None:
    target = getattr(message, field.name)
    if is_map(field):
        for key, item in value:
            if field.message_type.fields_by_name["value"].message_type is None:
                target[key] = item
            else:
                _fill(target[key], item, wraps)
    elif field.is_repeated:
        for item in value:
            if field.message_type is None:
                target.append(_encode(field, item))
            else:
                _fill(target.add(), item, wraps)
    elif field.message_type is None:
        setattr(message, field.name, _encode(field, value))
    else:
        target.SetInParent()
        _fill(target, value, wraps)


def _fill(message: Any, value: Any, wraps: str | None) -> None:
    """Fill a message from a record, or its only field from what the record unwraps."""
    if is_dataclass(value):
        _write(value, message)
    elif wraps:
        _set(message, message.DESCRIPTOR.fields_by_name[wraps], value, None)


def _encode(field: FieldDescriptor, value: Any) -> Any:
    if field.enum_type is None:
        return value
    known = field.enum_type.values_by_name.get(value)
    return known.number if known is not None else int(value)


def _read(record: type[T], message: Any, given: dict[str, Any] | None = None) -> T:
    """Make a record of a message."""
    fields = message.DESCRIPTOR.fields_by_name
    values = dict(given or {})
    for binding in bindings(record):
        if binding.name in fields:
            values[binding.attribute] = _get(message, fields[binding.name], binding)
    return record(**values)


def _get(message: Any, field: FieldDescriptor, binding: Binding) -> Any:
    if field.has_presence and not message.HasField(field.name):
        return None
    value = getattr(message, field.name)
    if is_map(field):
        of_messages = field.message_type.fields_by_name["value"].message_type is not None
        return tuple((key, _unfold(value[key], binding) if of_messages else value[key]) for key in sorted(value))
    if field.is_repeated:
        of_messages = field.message_type is not None
        return tuple(_unfold(item, binding) if of_messages else _decode(field.enum_type, item) for item in value)
    return _unfold(value, binding) if field.message_type is not None else _decode(field.enum_type, value)


def _unfold(message: Any, binding: Binding) -> Any:
    """Make a record of a message, or give its only field's value where the record unwraps it."""
    if not binding.wraps:
        return True if binding.wraps is not None else _read(cast(Any, binding.record), message)
    inner = message.DESCRIPTOR.fields_by_name[binding.wraps]
    return _get(message, inner, Binding(binding.attribute, inner.name, None, binding.record))


def _decode(enum: EnumDescriptor | None, value: Any) -> Any:
    """Name an enum's value; a number stands for one that the schema has no name for."""
    if enum is None:
        return value
    return enum.values_by_number[value].name if value in enum.values_by_number else str(value)


def _extra(message: Any) -> str:
    """Give what a message of a newer schema has and `ModelConfig` hasn't, as JSON."""
    known = {binding.name for binding in bindings(ModelConfig)}
    descriptor: Descriptor = message.DESCRIPTOR
    unknown = [field.name for field in descriptor.fields if field.name not in known]
    if not unknown:
        return ""
    content = json_format.MessageToDict(message, preserving_proto_field_name=True)
    found = {name: content[name] for name in unknown if name in content}
    return json.dumps(found, sort_keys=True) if found else ""
