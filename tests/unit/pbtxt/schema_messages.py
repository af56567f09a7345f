"""Any message of Triton's schema, for hypothesis."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2 as schema

__all__ = ["messages"]


def _floats(**options: Any) -> st.SearchStrategy[float]:
    """Give none of -0.0, which is equal to the default."""
    return st.floats(allow_nan=False, **options).map(lambda value: value + 0.0)


SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: st.integers(0, 2**64 - 1),
    FieldDescriptor.CPPTYPE_DOUBLE: _floats(),
    FieldDescriptor.CPPTYPE_FLOAT: _floats(width=32),
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    FieldDescriptor.CPPTYPE_STRING: st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
}


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
