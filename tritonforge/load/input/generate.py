"""Requests of Triton's generate extension: JSON in, server-sent events out, over HTTP.

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_generate.md
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from tritonforge.load.address import model_path
from tritonforge.load.errors import InvalidLoad
from tritonforge.load.input.prepare import Wanted, as_json
from tritonforge.load.input.signature import ServedModel
from tritonforge.load.input.tensors import to_values
from tritonforge.load.settings import ModelLoad, Settings
from tritonforge.load.workers.job import Payload

__all__ = ["check_generate", "prepare_generate"]


def prepare_generate(wanted: Wanted, inputs: Mapping[str, tuple[str, NDArray[Any]]]) -> Payload:
    """Write a request whose answer is a stream: each input as its values, flat, which is all that Triton reads."""
    values: dict[str, Any] = {name: to_values(name, array) for name, (_, array) in inputs.items()}
    if wanted.parameters:
        values["parameters"] = dict(wanted.parameters)
    body = json.dumps(values, separators=(",", ":")).encode()
    lines = [
        f"POST {wanted.address.path}{model_path(wanted.model, wanted.version)}/generate_stream HTTP/1.1",
        f"Host: {wanted.address.authority}",
        f"Content-Length: {len(body)}",
        *as_json(wanted),
        *(f"{name}: {value}" for name, value in wanted.headers),
    ]
    return Payload("\r\n".join(lines).encode() + b"\r\n\r\n" + body, stream=True)


def check_generate(served: ServedModel, load: ModelLoad, settings: Settings) -> None:
    """Raise InvalidLoad for what the generate extension can't carry.

    Triton (24.10) is told how many values an input has, and works out one variable dimension from that, the batch's
    among them; beside another one the batch is 1.
    """
    if load.sequence_length:
        raise InvalidLoad(f"{served.name}: sequences of streams need gRPC; the URL is {settings.url}")
    if settings.shared_memory != "none":
        raise InvalidLoad(f"{served.name}: streams over HTTP don't take shared memory; use gRPC")
    for tensor in served.inputs:
        if tensor.name in settings.parameters or (settings.parameters and tensor.name == "parameters"):
            raise InvalidLoad(
                f'{served.name}: "{tensor.name}" is an input: streams over HTTP tell parameters and inputs apart by '
                "their names alone; use gRPC"
            )
        if tensor.dims.count(-1) + (load.batch_size > 1) > 1:
            raise InvalidLoad(
                f'{served.name}: input "{tensor.name}" has the shape {list(tensor.dims)}: streams over HTTP tell how '
                "many values there are, not their shape, so that one dimension may vary, the batch's or one of these; "
                "use gRPC"
            )
