"""ModelInferRequest written and ModelInferResponse read by hand: most of a message is the same from call to call.

https://protobuf.dev/programming-guides/encoding and Triton's grpc_service.proto. What varies in a request is the raw
contents; the rest is kept by its names, datatypes and shapes. Requests with anything more, and responses with anything
that isn't plain, go through the protobuf messages: see `message`.
"""

from __future__ import annotations

from functools import lru_cache

from tritonclient.grpc import service_pb2 as pb

from tritonforge.client.grpc.message import from_message, to_message
from tritonforge.client.message import Buffer, Request, Response, Tensor
from tritonforge.client.tensors.usual import Usual
from tritonforge.client.tensors.wire import small_dtype

__all__ = ["first_tensor_at", "heads_of", "parse_response", "serialize_request", "usual_of", "write_request"]

_RAW_INPUT = b"\x3a"  # field 7, raw_input_contents, with a length
_RAW_OUTPUT = 0x32  # field 6, raw_output_contents, with a length
_MODEL, _VERSION, _ID, _OUTPUTS = 0x0A, 0x12, 0x1A, 0x2A  # fields 1, 2, 3 and 5, each with a length

_Spec = tuple[str, str, tuple[int, ...]]


def serialize_request(request: Request) -> bytes:
    """Write a ModelInferRequest: each tensor's bytes are copied once, into the message."""
    return b"".join(write_request(request))


def write_request(request: Request) -> list[Buffer]:
    """Give the parts of a ModelInferRequest, each tensor's bytes where they are."""
    if request.kind is not None:  # which has none of what follows
        specs = request.kind.tensors
    elif request.parameters or request.top or request.into or any(tensor.region for tensor in request.inputs):
        return [bytes(to_message(request).SerializeToString())]
    else:
        specs = tuple([tensor[:3] for tensor in request.inputs])
    parts: list[Buffer] = [_fixed_part(request.model, request.version, specs, request.outputs)]
    if request.id:
        name = request.id.encode()
        parts.append(b"\x1a%b%b" % (_varint(len(name)), name))
    for tensor in request.inputs:
        parts += (_RAW_INPUT, _varint(len(tensor.data)), tensor.data)
    return parts


def heads_of(request: Request) -> tuple[bytes, ...]:
    """Give what goes before each tensor of a request that has a kind."""
    fixed = _fixed_part(request.model, request.version, tuple([tensor[:3] for tensor in request.inputs]), ())
    first, *more = [_RAW_INPUT + _varint(len(tensor.data)) for tensor in request.inputs]
    return (fixed + first, *more)


def usual_of(data: bytes) -> Usual | None:
    """Read a response as one that more are like; None where it is no plain one. Raise what `parse_response` raises."""
    try:
        head_end, spans = _raw_contents(data)
        model, version, answered, specs = _parse_head(data[:head_end])
    except (_NotPlainError, IndexError):
        return None
    if len(specs) != len(spans):
        return None
    outputs = [
        (name, datatype, small_dtype(datatype, shape, end - start), shape, start, end)
        for (name, datatype, shape), (start, end) in zip(specs, spans, strict=True)
    ]
    return Usual(model, version, answered, outputs, data)


def first_tensor_at(start: bytes) -> int:
    """Tell where the bytes of the first tensor begin in a ModelInferResponse of which this is the start; 0: unknown."""
    try:
        position = _head_end(start)
        return _length(start, position + 1)[1] if start[position] == _RAW_OUTPUT else 0
    except (_NotPlainError, IndexError):
        return 0


def parse_response(data: bytes | memoryview) -> Response:
    """Read a ModelInferResponse. Raise ValueError or protobuf's DecodeError where it is none."""
    try:
        head_end, spans = _raw_contents(data)
        model, version, answered, specs = _parse_head(bytes(data[:head_end]))
    except (_NotPlainError, IndexError):
        return from_message(pb.ModelInferResponse.FromString(bytes(data)))
    if len(specs) != len(spans):
        raise ValueError(f"{len(specs)} outputs, but the contents of {len(spans)}")
    view = memoryview(data)
    outputs = tuple([Tensor(*spec, view[start:end]) for spec, (start, end) in zip(specs, spans, strict=True)])
    return Response(model, version, answered, outputs, {})


class _NotPlainError(Exception):
    """There is something in the message that the protobuf library had better read."""


@lru_cache(maxsize=1024)
def _fixed_part(model: str, version: str, specs: tuple[_Spec, ...], outputs: tuple[str, ...]) -> bytes:
    message = pb.ModelInferRequest(model_name=model, model_version=version)
    for name, datatype, shape in specs:
        message.inputs.add(name=name, datatype=datatype, shape=shape)
    for name in outputs:
        message.outputs.add(name=name)
    return bytes(message.SerializeToString())


@lru_cache(maxsize=1024)
def _parse_head(head: bytes) -> tuple[str, str, str, tuple[_Spec, ...]]:
    """Read what comes before the raw contents: the same in all answers of one model and shape."""
    message = pb.ModelInferResponse.FromString(head)
    if message.parameters:
        raise _NotPlainError
    specs = tuple((output.name, output.datatype, tuple(output.shape)) for output in message.outputs)
    return message.model_name, message.model_version, message.id, specs


def _head_end(data: bytes | memoryview) -> int:
    """Find where the raw contents begin."""
    size, position = len(data), 0
    while position < size and data[position] in (_MODEL, _VERSION, _ID, _OUTPUTS):
        length, start = _length(data, position + 1)
        position = start + length
    return position


def _raw_contents(data: bytes | memoryview) -> tuple[int, list[tuple[int, int]]]:
    """Find where the raw contents begin, and where each of them does and ends; nothing may come after."""
    size, position = len(data), _head_end(data)
    head_end, spans = position, []
    while position < size and data[position] == _RAW_OUTPUT:
        length, start = _length(data, position + 1)
        position = start + length
        spans.append((start, position))
    if not spans:  # no outputs, or each with its contents in itself
        raise _NotPlainError
    if position != size:  # parameters, fields in another order or unknown ones, or a message that breaks off
        raise _NotPlainError
    return head_end, spans


def _length(data: bytes | memoryview, position: int) -> tuple[int, int]:
    """Read a varint; give with it where it ends."""
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise _NotPlainError


@lru_cache(maxsize=4096)
def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
