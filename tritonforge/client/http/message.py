"""The bodies of Triton's HTTP inference API: a JSON header, then the tensors' bytes (binary tensor data extension).

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from tritonforge.client.message import Buffer, Region, Request, Response, Tensor
from tritonforge.client.tensors.usual import Output, Usual
from tritonforge.client.tensors.wire import Array, encode, small_dtype
from tritonforge.dtypes import DTYPES

__all__ = ["read_response", "usual_of", "write_request"]

_LARGEST_PLAIN = 1 << 12
_quote = lru_cache(maxsize=4096)(json.dumps)


def write_request(request: Request) -> bytes:
    """Write the JSON header of a request; its tensors' bytes follow it in their order. All outputs come as bytes."""
    inputs = tuple([_InputSpec(*tensor[:3], len(tensor.data), tensor.region) for tensor in request.inputs])
    if not (request.id or request.parameters or request.top or request.into):
        return _plain_header(inputs, request.outputs)
    identity = f'"id":{json.dumps(request.id)},' if request.id else ""
    parameters = "".join(f",{json.dumps(name)}:{json.dumps(value)}" for name, value in request.parameters.items())
    outputs = [f'{{"name":{_quote(name)},"parameters":{_wanted(name, request)}}}' for name in request.outputs]
    return _header(inputs, outputs, identity, parameters)


class _InputSpec(NamedTuple):
    """What the header says of an input. `size` is that of its data in bytes."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    size: int
    region: Region | None


@lru_cache(maxsize=1024)  # requests for one model and shape have the same header
def _plain_header(inputs: tuple[_InputSpec, ...], outputs: tuple[str, ...]) -> bytes:
    return _header(inputs, [f'{{"name":{_quote(name)},"parameters":{{"binary_data":true}}}}' for name in outputs])


def _header(inputs: tuple[_InputSpec, ...], outputs: list[str], identity: str = "", parameters: str = "") -> bytes:
    given = ",".join(
        f'{{"name":{_quote(spec.name)},"datatype":"{spec.datatype}","shape":{list(spec.shape)},'
        f'"parameters":{_region(spec.region) if spec.region else _inline(spec)}}}'
        for spec in inputs
    )
    wanted = f',"outputs":[{",".join(outputs)}]' if outputs else ""
    return f'{{{identity}"parameters":{{"binary_data_output":true{parameters}}},"inputs":[{given}]{wanted}}}'.encode()


def read_response(body: Buffer, header_size: int | None, into: Collection[str] = ()) -> Response:
    """Read a response whose JSON takes the first `header_size` bytes (None: all of them).

    The data of outputs that went `into` shared memory are left empty.

    Raise ValueError, KeyError or TypeError where the body is not one; the caller knows whom to blame.
    """
    size = len(body) if header_size is None else header_size
    if not 0 <= size <= len(body):
        raise ValueError(f"a JSON header of {size} bytes in a body of {len(body)}")
    header = bytes(body[:size])
    if not into and size < len(body) and size <= _LARGEST_PLAIN:
        plain = _plain_response(header)
        if plain is not None:
            return _filled(plain, body, size)
    return _read_json(json.loads(header), memoryview(body), size, into)


def usual_of(body: bytes, header_size: int) -> Usual | None:
    """Read a response as one that more are like, its JSON in the first bytes; None where it is no plain one.

    Raise what `read_response` raises.
    """
    plain = _plain_response(body[:header_size])
    if plain is None or plain.size != len(body) - header_size:
        return None
    outputs: list[Output] = []
    start = header_size
    for name, datatype, dtype, shape, length in plain.outputs:
        outputs.append((name, datatype, dtype, shape, start, start + length))
        start += length
    return Usual(plain.model, plain.version, plain.id, outputs, body)


class _Plain(NamedTuple):
    """What the header of a plain response says: all of its outputs follow as bytes, and nothing else is to be told."""

    model: str
    version: str
    id: str
    outputs: tuple[tuple[str, str, np.dtype[Any] | None, tuple[int, ...], int], ...]
    size: int


@lru_cache(maxsize=1024)  # answers of one model and shape have the same header
def _plain_response(header: bytes) -> _Plain | None:
    """Read the header of a response; None where it is not a plain one."""
    answer = json.loads(header)
    outputs = []
    total = 0
    for output in _outputs(answer):
        if "data" in output or set(output["parameters"]) != {"binary_data_size"}:
            return None
        length = int(output["parameters"]["binary_data_size"])
        if length < 0:
            return None
        name, datatype, shape = output["name"], output["datatype"], _shape(output)
        outputs.append((name, datatype, small_dtype(datatype, shape, length), shape, length))
        total += length
    if answer.get("parameters"):
        return None
    return _Plain(answer["model_name"], answer.get("model_version", ""), answer.get("id", ""), tuple(outputs), total)


def _filled(plain: _Plain, body: Buffer, start: int) -> Response:
    if plain.size != len(body) - start:
        raise ValueError(_misfit(plain.size, len(body) - start))
    data = body if len(body) <= _LARGEST_PLAIN else memoryview(body)  # of little data a copy is quicker than a view
    outputs = []
    for name, datatype, _, shape, length in plain.outputs:
        end = start + length
        outputs.append(Tensor(name, datatype, shape, data[start:end]))
        start = end
    return Response(plain.model, plain.version, plain.id, tuple(outputs), {})


def _read_json(answer: Any, data: memoryview, size: int, into: Collection[str]) -> Response:
    begin = size
    outputs = []
    for output in _outputs(answer):
        length = None if "data" in output else _length(output, into)
        if length is not None:
            if not 0 <= length <= len(data) - size:
                raise ValueError(f"output {output['name']!r} has {length} bytes, but {len(data) - size} are left")
            content: Buffer = data[size : size + length]
            size += length
        else:
            content = _from_json(output)
        outputs.append(Tensor(output["name"], output["datatype"], _shape(output), content))
    if size != len(data):
        raise ValueError(_misfit(size - begin, len(data) - begin))
    parameters: Mapping[str, Any] = answer.get("parameters", {})
    return Response(
        answer["model_name"], answer.get("model_version", ""), answer.get("id", ""), tuple(outputs), parameters
    )


def _misfit(said: int, came: int) -> str:
    return f"its outputs have {said} bytes together, and {came} came"


def _outputs(answer: Mapping[str, Any]) -> list[Any]:
    outputs = answer["outputs"]
    if not isinstance(outputs, list):
        raise TypeError
    return outputs


def _shape(output: Mapping[str, Any]) -> tuple[int, ...]:
    shape = tuple(output["shape"])
    if not all(type(size) is int for size in shape):
        raise ValueError(f"output {output['name']!r} has the shape {output['shape']!r}")
    return shape


def _inline(spec: _InputSpec) -> str:
    return f'{{"binary_data_size":{spec.size}}}'


def _region(region: Region) -> str:
    name, offset, size = region
    return f'{{"shared_memory_region":{_quote(name)},"shared_memory_offset":{offset},"shared_memory_byte_size":{size}}}'


def _wanted(name: str, request: Request) -> str:
    if name in request.into:
        return _region(request.into[name])
    classes = f',"classification":{request.top[name]}' if name in request.top else ""
    return f'{{"binary_data":true{classes}}}'


def _length(output: Mapping[str, Any], into: Collection[str]) -> int:
    # Triton gives neither data nor parameters of an output that it wrote to shared memory.
    if output["name"] in into:
        return 0
    length: int = output["parameters"]["binary_data_size"]
    return length


def _from_json(output: Mapping[str, Any]) -> Buffer:
    """Give the bytes of an output that a server sent as JSON, as some do whatever they are asked."""
    data = output["data"]
    while data and isinstance(data[0], list):
        if any(len(row) != len(data[0]) for row in data):
            raise ValueError(f"output {output['name']!r} has rows of different lengths")
        data = list(chain.from_iterable(data))
    if output["datatype"] not in DTYPES:
        raise ValueError(f"output {output['name']!r} has the unknown datatype {output['datatype']!r}")
    return encode(_numbers(output, data), output["datatype"])


def _numbers(output: Mapping[str, Any], data: list[Any]) -> Array:
    """Make an array of an output's dtype. Raise ValueError for a number that it can't hold."""
    dtype = DTYPES[output["datatype"]].numpy
    if dtype.kind != "O" and any(type(number) is str for number in data):  # NumPy would read it, "false" as True
        raise ValueError(f"output {output['name']!r} has a text among its numbers")
    fits = True
    if dtype.kind in "iu":  # NumPy 1 wraps integers, and cuts fractions off
        signed = dtype.kind == "i"
        end = 1 << (8 * dtype.itemsize - signed)
        fits = all(
            type(number) is not bool and -end * signed <= number < end and number == int(number) for number in data
        )
    try:
        if fits:
            with np.errstate(over="raise"):
                return np.array(data, dtype)
    except FloatingPointError:
        pass
    raise ValueError(f"output {output['name']!r} has a number that {output['datatype']} can't hold")
