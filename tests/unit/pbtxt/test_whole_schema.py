"""Any message of Triton's schema becomes a configuration and the same message again: by itself, and as text."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor
from hypothesis import HealthCheck, given, settings
from schema_messages import messages
from tritonclient.grpc import model_config_pb2 as schema

from tritonforge import pbtxt
from tritonforge.ir import ModelConfig, bindings

THOROUGHLY = settings(suppress_health_check=list(HealthCheck), deadline=None)


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
