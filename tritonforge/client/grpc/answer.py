"""The answer to a unary gRPC call: what has come of it, and what it means."""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from tritonforge.client.grpc.body import Body
from tritonforge.client.http.answer import Garbled, Unsent
from tritonforge.hpack import decode_headers

__all__ = ["NO_STATUS", "Coming", "GrpcAnswer", "Outcome", "note_status", "outcome", "read_fields", "reset"]

_REFUSED_STREAM, _CALM = 7, 11
_EXHAUSTED = 8  # gRPC's RESOURCE_EXHAUSTED
NO_STATUS = "the answer ended without a status"

_CODE_OF_STATUS = {"400": 13, "401": 16, "403": 7, "404": 12, "429": 14, "502": 14, "503": 14, "504": 14}
"""gRPC's codes of HTTP's statuses: https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md."""


class GrpcAnswer(NamedTuple):
    """What a call came to: gRPC's status code, the words with it, and the message of a call that succeeded."""

    code: int
    words: str
    message: bytes | memoryview


Outcome = GrpcAnswer | Unsent | Garbled
"""How a call ended."""


class Coming:
    """What has come of an answer."""

    __slots__ = ("begun", "body", "code", "encoding", "first", "words")

    def __init__(self) -> None:
        self.begun = False
        self.first, self.encoding = b"", ""
        self.body = Body()
        self.code, self.words = -1, ""  # what an HTTP status that isn't gRPC's stands for


@lru_cache(maxsize=1024)  # without a table, a block means the same each time
def read_fields(block: bytes) -> dict[str, str]:
    """Read a header block. Raise Garbled where it is none."""
    try:
        return decode_headers(block)
    except ValueError as error:
        raise Garbled(str(error)) from error


def note_status(call: Coming, fields: dict[str, str]) -> None:
    """Keep what an HTTP status stands for that isn't gRPC's, as proxies give it."""
    status = fields.get(":status", "200")
    if status != "200" and "grpc-status" not in fields and not status.startswith("1"):
        call.code, call.words = _CODE_OF_STATUS.get(status, 2), f"HTTP status {status}, which is not gRPC's"


def outcome(call: Coming, fields: dict[str, str]) -> Outcome:
    """Make the answer of its last header block."""
    code = fields.get("grpc-status", "")
    if code != "0":
        if code.isascii() and code.isdecimal():
            return GrpcAnswer(int(code), unquote(fields.get("grpc-message", "")), b"")
        if call.code < 0:
            return Garbled(NO_STATUS)
        return GrpcAnswer(call.code, call.words, b"")
    try:
        compressed, message = call.body.message()
    except Garbled as error:
        return error
    return _decompressed(message, call.encoding) if compressed else GrpcAnswer(0, "", message)


def _decompressed(message: bytes | memoryview, encoding: str) -> Outcome:
    """Read a message that nobody asked to compress, as a server or a proxy may do all the same."""
    if encoding not in ("gzip", "deflate"):
        return Garbled(f"the answer is compressed as {encoding!r}, which nobody asked for")
    try:
        return GrpcAnswer(0, "", zlib.decompress(message, zlib.MAX_WBITS | 32))  # 32: told apart by their heads
    except zlib.error as error:
        return Garbled(f"the answer is compressed, and broken: {error}")


def reset(code: int, *, begun: bool) -> Outcome:
    """Tell what a reset means: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Errors"."""
    if code == _REFUSED_STREAM:
        return Unsent("the server has refused the call")
    if code == _CALM and not begun:
        return GrpcAnswer(_EXHAUSTED, "the server takes no more calls now: HTTP/2 error 11, ENHANCE_YOUR_CALM", b"")
    return Garbled(f"the server has given the call up: HTTP/2 error {code}")
