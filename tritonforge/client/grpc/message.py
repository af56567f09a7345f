"""Requests, responses and configurations as the messages of Triton's gRPC API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf.message import Message
from tritonclient.grpc import service_pb2 as pb

from tritonforge.client.grpc.typed import typed_data
from tritonforge.client.message import Buffer, Parameter, Region, Request, Response, Tensor
from tritonforge.client.transport import Json

__all__ = ["from_message", "to_json", "to_message"]


def to_message(request: Request) -> Any:
    """Build a ModelInferRequest, all tensors in its raw contents."""
    message = pb.ModelInferRequest(model_name=request.model, model_version=request.version, id=request.id)
    for tensor in request.inputs:
        given = message.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        if tensor.region is None:
            message.raw_input_contents.append(bytes(tensor.data))
        else:
            _set_region(given, tensor.region)
    for name in request.outputs:
        wanted = message.outputs.add(name=name)
        if name in request.into:
            _set_region(wanted, request.into[name])
        elif name in request.top:
            wanted.parameters["classification"].int64_param = request.top[name]
    for name, value in request.parameters.items():
        setattr(message.parameters[name], _parameter_field(value), value)
    return message


def from_message(message: Any) -> Response:
    """Read a ModelInferResponse. Raise ValueError where its outputs don't have their contents, raw or typed."""
    contents: Sequence[Buffer] = message.raw_output_contents
    if not contents and any(output.HasField("contents") for output in message.outputs):
        contents = [typed_data(output) for output in message.outputs]
    if len(message.outputs) != len(contents):
        raise ValueError(f"{len(message.outputs)} outputs, but the contents of {len(contents)}")
    outputs = tuple(
        [
            Tensor(output.name, output.datatype, tuple(output.shape), data)
            for output, data in zip(message.outputs, contents, strict=True)
        ]
    )
    return Response(message.model_name, message.model_version, message.id, outputs, _parameters(message))


def _set_region(tensor: Any, region: Region) -> None:
    tensor.parameters["shared_memory_region"].string_param = region.name
    tensor.parameters["shared_memory_offset"].int64_param = region.offset
    tensor.parameters["shared_memory_byte_size"].int64_param = region.size


def _parameters(message: Any) -> dict[str, Parameter]:
    if not message.parameters:
        return {}
    return {
        name: getattr(parameter, parameter.WhichOneof("parameter_choice"))
        for name, parameter in message.parameters.items()
    }


def to_json(message: Message) -> Json:
    """Give a message as Triton's HTTP API words it: every field, enums by name, 64-bit integers as numbers.

    google.protobuf.json_format would give those as strings.
    """
    return {
        field.name: _field(getattr(message, field.name), field)
        for field in message.DESCRIPTOR.fields
        if not field.has_presence or message.HasField(field.name)
    }


def _field(value: Any, field: Any) -> Any:
    if field.has_presence or isinstance(value, (bool, int, float, str, bytes)):
        return _single(value, field)
    if field.message_type and field.message_type.GetOptions().map_entry:
        of_value = field.message_type.fields_by_name["value"]
        return {str(key): _single(value[key], of_value) for key in value}
    return [_single(item, field) for item in value]


def _single(value: Any, field: Any) -> Any:
    if field.message_type:
        return to_json(value)
    if field.enum_type:
        named = field.enum_type.values_by_number.get(value)
        return named.name if named else value
    return value


def _parameter_field(value: object) -> str:
    if isinstance(value, bool):
        return "bool_param"
    if isinstance(value, int):
        return "int64_param"
    return "double_param" if isinstance(value, float) else "string_param"
