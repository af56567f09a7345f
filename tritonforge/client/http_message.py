"""The bodies of Triton's HTTP inference API: a JSON header, then the tensors' bytes (binary tensor data extension).

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np

from tritonforge.client.message import Buffer, Request, Response, Tensor
from tritonforge.client.wire import encode
from tritonforge.dtypes import DTYPES

__all__ = ["read_response", "write_request"]

_quote = lru_cache(maxsize=4096)(json.dumps)


def write_request(request: Request) -> bytes:
    """Write the JSON header of a request; its tensors' bytes follow it in their order. All outputs come as bytes."""
    inputs = ",".join(
        f'{{"name":{_quote(tensor.name)},"datatype":"{tensor.datatype}","shape":{list(tensor.shape)},'
        f'"parameters":{{"binary_data_size":{len(tensor.data)}}}}}'
        for tensor in request.inputs
    )
    identity = f'"id":{json.dumps(request.id)},' if request.id else ""
    parameters = "".join(f",{json.dumps(name)}:{json.dumps(value)}" for name, value in request.parameters.items())
    outputs = ",".join(f'{{"name":{_quote(name)},"parameters":{{"binary_data":true}}}}' for name in request.outputs)
    wanted = f',"outputs":[{outputs}]' if outputs else ""
    header = f'{{{identity}"parameters":{{"binary_data_output":true{parameters}}},"inputs":[{inputs}]{wanted}}}'
    return header.encode()


def read_response(body: Buffer, header_size: int | None) -> Response:
    """Read a response whose JSON takes the first `header_size` bytes (None: all of them).

    Raise ValueError, KeyError or TypeError where the body is not one; the caller knows whom to blame.
    """
    size = len(body) if header_size is None else header_size
    if not 0 <= size <= len(body):
        raise ValueError(f"a JSON header of {size} bytes in a body of {len(body)}")
    answer = json.loads(bytes(body[:size]))
    data = memoryview(body)
    outputs = []
    for output in answer["outputs"]:
        length = output["parameters"]["binary_data_size"] if "data" not in output else None
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


def _from_json(output: Mapping[str, Any]) -> Buffer:
    """Give the bytes of an output that a server sent as JSON, as some do whatever they are asked."""
    data = output["data"]
    while data and isinstance(data[0], list):
        data = list(chain.from_iterable(data))
    if output["datatype"] not in DTYPES:
        raise ValueError(f"output {output['name']!r} has the unknown datatype {output['datatype']!r}")
    return encode(np.array(data, DTYPES[output["datatype"]].numpy), output["datatype"])
