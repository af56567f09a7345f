"""Requests as the bytes that go out, made once: HTTP/1.1 with JSON or binary tensors, or the message of gRPC."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from numpy.typing import NDArray

from tritonforge.load.address import Address, model_path
from tritonforge.load.input.tensors import to_bytes, to_values
from tritonforge.load.workers.job import Payload
from tritonforge.request_parameters import Parameter

__all__ = ["Region", "Wanted", "as_json", "prepare", "prepare_sequence"]

_PLACE = 4_000_000_000
"""A sequence's number in the JSON, where the real one of as many digits goes."""
_FIELDS = ((bool, "bool_param"), (int, "int64_param"), (float, "double_param"), (str, "string_param"))
"""Where gRPC has a parameter, by the first type that it is of."""


@dataclass(frozen=True, slots=True)
class Region:
    """Where a tensor lies in a registered region of shared memory."""

    name: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request is for, besides its tensors."""

    address: Address
    model: str
    version: str = ""
    body: Literal["binary", "json"] = "binary"
    headers: tuple[tuple[str, str], ...] = ()
    sequence_length: int = 0
    stream: bool = False
    tolerance: float = 1e-4
    outputs: tuple[str, ...] = ()
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


def prepare(
    wanted: Wanted,
    inputs: Mapping[str, tuple[str, NDArray[Any]]],
    expected: Mapping[str, NDArray[Any]] | None = None,
    regions: Mapping[str, Region] | None = None,
    outputs: Mapping[str, Region | None] | None = None,
) -> Payload:
    """Write a request of `inputs` (datatype and array by name), those with a region by reference.

    Where there are `outputs`, they are all that is asked for, and come back in their regions, if they have one.
    """
    write = _grpc if wanted.address.grpc else _http
    parts: tuple[tuple[bytes, bytes], ...] = ()
    if wanted.sequence_length:
        flags = ((True, False), (False, False), (False, True), (True, True))
        parts = tuple(write(wanted, inputs, regions or {}, outputs or {}, flag) for flag in flags)
        data = b""
    else:
        data = b"".join(write(wanted, inputs, regions or {}, outputs or {}, None))
    return Payload(
        data,
        parts,
        wanted.sequence_length,
        stream=wanted.stream,
        expected=expected,
        tolerance=wanted.tolerance,
        outputs=wanted.outputs,
    )


def prepare_sequence(wanted: Wanted, steps: Sequence[Mapping[str, tuple[str, NDArray[Any]]]]) -> Payload:
    """Write a sequence of requests, each with its own inputs."""
    write = _grpc if wanted.address.grpc else _http
    last = len(steps) - 1
    parts = tuple(write(wanted, step, {}, {}, (place == 0, place == last)) for place, step in enumerate(steps))
    return Payload(b"", parts, len(parts), spelled=True, stream=wanted.stream, outputs=wanted.outputs)


def _http(
    wanted: Wanted,
    inputs: Mapping[str, tuple[str, NDArray[Any]]],
    regions: Mapping[str, Region],
    outputs: Mapping[str, Region | None],
    flags: tuple[bool, bool] | None,
) -> tuple[bytes, bytes]:
    entries, tail = [], b""
    for name, (datatype, array) in inputs.items():
        entry: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(array.shape)}
        if name in regions:
            entry["parameters"] = _reference(regions[name])
        elif wanted.body == "binary":
            data = to_bytes(array, datatype)
            entry["parameters"] = {"binary_data_size": len(data)}
            tail += data
        else:
            entry["data"] = to_values(name, array)
        entries.append(entry)
    request: dict[str, Any] = {"inputs": entries}
    if outputs:
        kept = {"binary_data": wanted.body == "binary"}
        request["outputs"] = [
            {"name": name, "parameters": _reference(region) if region else kept} for name, region in outputs.items()
        ]
    parameters: dict[str, Any] = {"binary_data_output": True} if wanted.body == "binary" else {}
    if flags:
        parameters |= {"sequence_id": _PLACE, "sequence_start": flags[0], "sequence_end": flags[1]}
    parameters |= wanted.parameters  # behind the sequence's number, whose place is the first that has its digits
    if parameters:
        request = {"parameters": parameters} | request
    head = json.dumps(request, separators=(",", ":")).encode()
    lines = [
        f"POST {wanted.address.path}{model_path(wanted.model, wanted.version)}/infer HTTP/1.1",
        f"Host: {wanted.address.authority}",
        f"Content-Length: {len(head) + len(tail)}",
        *([f"Inference-Header-Content-Length: {len(head)}"] if wanted.body == "binary" else as_json(wanted)),
        *(f"{name}: {value}" for name, value in wanted.headers),
    ]
    before, place, after = head.partition(str(_PLACE).encode() if flags else b"\0")
    start = "\r\n".join(lines).encode() + b"\r\n\r\n" + before
    return start, (after if place else b"") + tail


def as_json(wanted: Wanted) -> list[str]:
    """Give the header that says that a body is JSON, which others than Triton want, unless one of the user's does."""
    given = any(name.lower() == "content-type" for name, _ in wanted.headers)
    return [] if given else ["Content-Type: application/json"]


def _reference(region: Region) -> dict[str, Any]:
    return {
        "shared_memory_region": region.name,
        "shared_memory_offset": region.offset,
        "shared_memory_byte_size": region.size,
    }


def _grpc(
    wanted: Wanted,
    inputs: Mapping[str, tuple[str, NDArray[Any]]],
    regions: Mapping[str, Region],
    outputs: Mapping[str, Region | None],
    flags: tuple[bool, bool] | None,
) -> tuple[bytes, bytes]:
    from tritonclient.grpc import service_pb2 as pb

    message = pb.ModelInferRequest(model_name=wanted.model, model_version=wanted.version)
    for name, (datatype, array) in inputs.items():
        tensor = message.inputs.add(name=name, datatype=datatype, shape=array.shape)
        if name in regions:
            _refer(tensor.parameters, regions[name])
        else:
            message.raw_input_contents.append(to_bytes(array, datatype))
    for name, region in outputs.items():
        asked = message.outputs.add(name=name)
        if region:
            _refer(asked.parameters, region)
    for key, value in wanted.parameters.items():
        _set(message.parameters, key, value)
    if not flags:
        return message.SerializeToString(), b""
    message.parameters["sequence_start"].bool_param = flags[0]
    message.parameters["sequence_end"].bool_param = flags[1]
    # Two messages after each other are one with the fields of both: a last entry of the map, its value at the end.
    # Numbers from 2**28 to 2**35 take five bytes as a varint, so that the entry's lengths are known.
    identity = pb.ModelInferRequest()
    identity.parameters["sequence_id"].int64_param = 1 << 30
    data = message.SerializeToString() + identity.SerializeToString()
    return data[:-5], b""


def _refer(parameters: Any, region: Region) -> None:
    for key, value in _reference(region).items():
        _set(parameters, key, value)


def _set(parameters: Any, name: str, value: Parameter) -> None:
    setattr(parameters[name], next(place for kind, place in _FIELDS if isinstance(value, kind)), value)
