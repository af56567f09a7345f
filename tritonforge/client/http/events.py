"""Triton's generate extension: JSON in, JSON out, streamed as server-sent events.

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_generate.md
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tritonforge.client.errors import ClientError, InferenceFailed, InvalidRequest, ServerUnavailable, Target
from tritonforge.client.failures import inference_failed
from tritonforge.client.names import shown
from tritonforge.client.tensors.arguments import require_request_id
from tritonforge.client.transport import Json
from tritonforge.client.unreadable import quoted
from tritonforge.request_parameters import require_encodable

__all__ = ["Events", "generate_body", "mistyped", "read_event"]

_LARGEST_EVENT = 1 << 26

# What Triton 24.10 says, as INTERNAL, of a value that is not of its input's type.
_MISTYPED = re.compile(r"^Unable to parse (?:'data'|JSON bytes array): attempt to access JSON")


def generate_body(inputs: Mapping[str, Any], target: Target) -> Json:
    """Word inputs, and parameters of the request, for JSON. Raise InvalidRequest for what has no form in it.

    Raise ValueError for an id of the request, or of its sequence, that Triton would cut off.
    """
    require_request_id(target.request_id)
    if "id" in inputs:
        raise InvalidRequest(
            'input "id": Triton takes a generate request\'s id for that of the request: request_id="…" gives it, and '
            "infer() sends an input of that name",
            target,
        )
    if isinstance(sequence := inputs.get("sequence_id"), str):
        require_encodable("sequence_id", sequence)
    request = {"id": target.request_id, **inputs} if target.request_id else dict(inputs)
    try:
        body: Json = json.loads(json.dumps(request, default=_plain))
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"the inputs of generate are sent as JSON: {error}", target) from error
    for name, value in body.items():
        if problem := _refused(name, value):
            raise InvalidRequest(f'input "{shown(name)}": {problem}', target)
    return body


def mistyped(error: ClientError, target: Target) -> InvalidRequest | None:
    """Make another error where one says that a value is not of its input's type; None where it is none such."""
    if not _MISTYPED.search(error.reason):
        return None
    told = InvalidRequest(f"a value is not of its input's type: {error.reason}", target)
    told.code = error.code
    return told


def read_event(data: bytes, target: Target) -> Json:
    """Read one answer. Raise InferenceFailed where it is an error: Triton sends those with status 200, too."""
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ServerUnavailable(f"the answer is not Triton's: {quoted(data)}", target) from error
    if not isinstance(answer, dict):
        raise ServerUnavailable(f"the answer is not Triton's: {quoted(data)}", target)
    if set(answer) == {"error"}:
        raise inference_failed(str(answer["error"]), target)
    return answer


class Events:
    """Bytes of an event stream, given piece by piece, as the data of whole events.

    https://html.spec.whatwg.org/multipage/server-sent-events.html, without names and ids, which Triton doesn't send.
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Give the data of each event that is whole now. Raise ValueError where one grows past 64 MiB."""
        lines = (self._rest + data).replace(b"\r\n", b"\n").split(b"\n\n")
        self._rest = lines.pop()
        if len(self._rest) > _LARGEST_EVENT:
            raise ValueError(f"an event of more than {_LARGEST_EVENT} bytes")
        for event in lines:
            data_lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
            if data_lines:
                yield b"\n".join(data_lines)

    def end(self, target: Target) -> None:
        """Raise InferenceFailed where the stream ended in the middle of an event."""
        if self._rest.strip():
            raise InferenceFailed("the stream ended in the middle of an event", target)


def _refused(name: str, value: object) -> str:
    """Say what Triton (24.10) takes for no JSON, or for no data of an input; empty for what may be right."""
    try:
        json.dumps({name: value}, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        return f"a text in it has no form in UTF-8: {error.reason}"
    if isinstance(value, list) and _count(value) != len(value):
        return f"a list of lists given, of {_count(value)} values; generate takes one value, or a flat list of them"
    return ""


def _count(value: object) -> int:
    """Count the values in nested lists. Triton takes the length of the outermost for that."""
    return sum(map(_count, value)) if isinstance(value, list) else 1


def _plain(value: object) -> object:
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, bytes):
        return value.decode()
    raise TypeError(f"{type(value).__name__} has no form in JSON")
