"""Requests to servers that don't speak the Open Inference Protocol, and what their JSON answers hold."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritonforge.load.address import Address
from tritonforge.load.settings import HttpRequest
from tritonforge.load.workers.job import Payload

__all__ = ["pick", "prepare_plain"]


def prepare_plain(address: Address, request: HttpRequest, headers: Mapping[str, str]) -> Payload:
    """Write a request as it stands; its answer is held against what it expects, if anything."""
    body = request.body.encode()
    lines = [
        f"{request.method} {address.path}{request.path} HTTP/1.1",
        f"Host: {address.authority}",
        *([f"Content-Type: {request.content_type}", f"Content-Length: {len(body)}"] if body else []),
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    expected = {pointer: np.array(values, np.float64) for pointer, values in request.expected.items()}
    data = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    return Payload(data, expected=expected or None, tolerance=request.tolerance, plain=True)


def pick(data: bytes, pointers: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Read the numbers of a JSON document by JSON pointer (RFC 6901).

    Raise ValueError, KeyError, IndexError or TypeError where it isn't JSON, or has no numbers there.
    """
    document = json.loads(data)
    return {pointer: np.array(_at(document, pointer), np.float64) for pointer in pointers}


def _at(document: Any, pointer: str) -> Any:
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        document = document[int(key)] if isinstance(document, list) else document[key]
    return document
