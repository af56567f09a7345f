"""Any message of Triton's schema becomes a configuration and the same message again: by itself, and as text."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2 as schema

from tritonforge import pbtxt
from tritonforge.ir import ModelConfig, bindings

SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: st.integers(0, 2**64 - 1),
    FieldDescriptor.CPPTYPE_DOUBLE: st.floats(allow_nan=False),
    FieldDescriptor.CPPTYPE_FLOAT: st.floats(allow_nan=False, width=32),
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    FieldDescriptor.CPPTYPE_STRING: st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
}
THOROUGHLY = settings(suppress_health_check=list(HealthCheck), deadline=None)


@st.composite
def messages(draw: st.DrawFn, descriptor: Descriptor = schema.ModelConfig.DESCRIPTOR) -> Any:
    """Fill some fields of a message: at the top a few of many, below about half; at most one of each oneof."""
    message = descriptor._concrete_class()
    names = [field.name for field in descriptor.fields]
    chosen = draw(st.sets(st.sampled_from(names), max_size=5 if len(names) > 9 else len(names))) if names else ()
    for name in sorted(chosen):
        fill(draw, message, descriptor.fields_by_name[name])
    return message


def fill(draw: st.DrawFn, message: Any, field: FieldDescriptor) -> None:
    if field.message_type is None:
        if field.is_repeated:
            getattr(message, field.name).extend(draw(st.lists(scalars(field), max_size=3)))
        else:
            setattr(message, field.name, draw(scalars(field)))
    elif field.message_type.GetOptions().map_entry:
        key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        target = getattr(message, field.name)
        for name in draw(st.sets(scalars(key), max_size=2)):
            if value.message_type is None:
                target[name] = draw(scalars(value))
            else:
                target[name].CopyFrom(draw(messages(value.message_type)))
    elif field.is_repeated:
        getattr(message, field.name).extend(draw(st.lists(messages(field.message_type), max_size=2)))
    else:
        getattr(message, field.name).SetInParent()
        getattr(message, field.name).CopyFrom(draw(messages(field.message_type)))


def scalars(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.enum_type is not None:
        return st.sampled_from([*field.enum_type.values_by_number, 99])
    return SCALARS[field.cpp_type]


@THOROUGHLY
@given(messages())
def test_a_message_is_the_same_after_the_representation(message: Any) -> None:
    assert pbtxt.to_message(pbtxt.from_message(message)) == message


@THOROUGHLY
@given(messages())
def test_a_message_is_the_same_after_our_text(message: Any) -> None:
    assert text_format.Parse(pbtxt.emit(pbtxt.from_message(message)), schema.ModelConfig()) == message


@THOROUGHLY
@given(messages())
def test_the_representation_is_the_same_after_protobufs_own_text(message: Any) -> None:
    assert pbtxt.parse(text_format.MessageToString(message)) == pbtxt.from_message(message)


@THOROUGHLY
@given(messages())
def test_the_text_is_stable(message: Any) -> None:
    text = pbtxt.emit(pbtxt.from_message(message))
    assert pbtxt.emit(pbtxt.parse(text)) == text


def test_the_representation_has_each_field_of_the_schema() -> None:
    assert set(missing(ModelConfig, schema.ModelConfig.DESCRIPTOR)) == set()


def missing(record: type[Any], descriptor: Descriptor) -> Iterator[str]:
    """Give the fields of a message, and of the messages in it, that a record has no place for."""
    by_name = {binding.name: binding for binding in bindings(record)}
    for field in descriptor.fields:
        if field.name not in by_name:
            yield field.full_name
            continue
        binding, inner = by_name[field.name], field.message_type
        if inner is not None and inner.GetOptions().map_entry:
            inner = inner.fields_by_name["value"].message_type
        if inner is not None and binding.wraps is not None:
            assert [one.name for one in inner.fields] == ([binding.wraps] if binding.wraps else []), field.full_name
            inner = inner.fields[0].message_type if inner.fields else None
        if inner is not None:
            assert binding.record is not None, field.full_name
            yield from missing(binding.record, inner)


def test_minus_zero_is_kept() -> None:
    message = schema.ModelConfig()
    message.sequence_batching.direct.minimum_slot_utilization = -0.0
    read = pbtxt.parse(pbtxt.emit(pbtxt.from_message(message)))
    assert read.sequence_batching is not None
    assert read.sequence_batching.direct is not None
    assert math.copysign(1, read.sequence_batching.direct.minimum_slot_utilization) < 0
