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
from tritonforge.client.wire import encode
from tritonforge.dtypes import DTYPES

__all__ = ["read_response", "write_request"]

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
    answer = json.loads(bytes(body[:size]))
    data = memoryview(body)
    outputs = []
    for output in answer["outputs"]:
        length = None if "data" in output else _length(output, into)
        if length is not None:
            if not 0 <= length <= len(data) - size:
                raise ValueError(f"output {output['name']!r} has {length} bytes, but {len(data) - size} are left")
            content: Buffer = data[size : size + length]
            size += length
        else:
            content = _from_json(output)
        outputs.append(Tensor(output["name"], output["datatype"], tuple(output["shape"]), content))
    parameters: Mapping[str, Any] = answer.get("parameters", {})
    return Response(
        answer["model_name"], answer.get("model_version", ""), answer.get("id", ""), tuple(outputs), parameters
    )


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
        data = list(chain.from_iterable(data))
    if output["datatype"] not in DTYPES:
        raise ValueError(f"output {output['name']!r} has the unknown datatype {output['datatype']!r}")
    return encode(np.array(data, DTYPES[output["datatype"]].numpy), output["datatype"])
