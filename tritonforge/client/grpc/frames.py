"""Unary gRPC calls over one HTTP/2 connection (RFC 9113), without I/O: bytes in, bytes out.

Its user sends what `start` gives and what is in `replies`, and hands all that comes to `take`. Messages are small: one
goes out whole or not at all, so all that matters of the peer's windows is whether it `fits` in them now.
"""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from tritonforge.client.http.answer import Garbled, Leaving, Unsent
from tritonforge.hpack import decode_headers, encode_field

__all__ = ["LARGEST_MESSAGE", "GrpcAnswer", "GrpcFrames", "Outcome"]

_DATA, _HEADERS, _PRIORITY, _RST, _SETTINGS, _PUSH, _PING, _GOAWAY, _WINDOW, _CONTINUATION = range(10)
_END_STREAM, _ACK, _END_HEADERS, _PADDED, _WEIGHTED = 1, 1, 4, 8, 32
_REFUSED_STREAM, _CANCEL, _CALM = 7, 8, 11
_EXHAUSTED = 8  # gRPC's RESOURCE_EXHAUSTED
_LARGEST_HEAD = 1 << 18
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME = struct.Struct(">HBBBI")
_SETTING = struct.Struct(">HI")
_MESSAGE = struct.Struct(">BI")
_DATA_OF_MESSAGE = struct.Struct(">HBBBIBI")  # a frame's head, and the message's
_LARGEST_FRAME = 1 << 14  # what both sides take as long as they say nothing else
_LAST_STREAM = (1 << 31) - 3
_HUGE = (1 << 31) - 1
_FIRST_WINDOW = 65535
_REFILL = 1 << 30
_NO_TABLE, _NO_PUSH, _WIDE_OPEN = (1, 0), (2, 0), (4, _HUGE)
_MOST_CALLS, _WINDOW_OF_A_CALL = 3, 4

LARGEST_MESSAGE = _LARGEST_FRAME - _MESSAGE.size
"""The bytes of a message that one frame takes."""

_TIMEOUT = encode_field("grpc-timeout", "")[:-1]

_CODE_OF_STATUS = {"400": 13, "401": 16, "403": 7, "404": 12, "429": 14, "502": 14, "503": 14, "504": 14}
"""gRPC's codes of HTTP's statuses: https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md."""


class GrpcAnswer(NamedTuple):
    """What a call came to: gRPC's status code, the words with it, and the message of a call that succeeded."""

    code: int
    words: str
    message: bytes


Outcome = GrpcAnswer | Unsent | Garbled
"""How a call ended."""


class _Call:
    """What has come of an answer."""

    __slots__ = ("begun", "body", "code", "encoding", "first", "words")

    def __init__(self) -> None:
        self.begun = False
        self.first, self.encoding = b"", ""
        self.body: list[bytes] = []
        self.code, self.words = -1, ""  # what an HTTP status that isn't gRPC's stands for


class GrpcFrames:
    """One connection's state. After an error that `take` raises: close the connection."""

    __slots__ = ("_block", "_call_room", "_calls", "_ended", "_head", "_last", "_most", "_received", "_rest", "_room",
                 "_stream", "_usual", "greeted", "replies")  # fmt: skip

    def __init__(self) -> None:
        settings = b"".join(_SETTING.pack(*pair) for pair in (_NO_TABLE, _NO_PUSH, _WIDE_OPEN))
        window = (_HUGE - _FIRST_WINDOW).to_bytes(4, "big")
        self.replies = bytearray(_PREFACE + _frame(_SETTINGS, 0, 0, settings) + _frame(_WINDOW, 0, 0, window))
        """What is to be sent at once, or with the next call."""
        self.greeted = False
        """Whether the peer has shown that it speaks HTTP/2."""
        self._calls: dict[int, _Call] = {}
        self._ended: list[tuple[int, Outcome]] = []
        self._stream = -1
        self._last = _HUGE  # the last stream that the peer takes, once it has said so
        self._most = _HUGE  # calls at a time
        self._room, self._call_room = _FIRST_WINDOW, _FIRST_WINDOW
        self._received = 0
        self._rest = b""
        self._head = b""  # of a header block that isn't whole yet
        self._block = 0  # its flags
        # What was around the last message that came plain: two header blocks, each after its frame's beginning.
        self._usual: tuple[bytes, bytes, bytes, bytes] | None = None

    @property
    def usable(self) -> bool:
        """Whether it takes another call, now or later."""
        return self._last == _HUGE and self._stream < _LAST_STREAM

    @property
    def busy(self) -> int:
        """How many calls are under way."""
        return len(self._calls)

    def fits(self, size: int) -> bool:
        """Tell whether a call with a message of so many bytes can be sent at once."""
        room = min(self._room, self._call_room, _LARGEST_FRAME)
        return size + _MESSAGE.size <= room and len(self._calls) < self._most

    def begun(self, stream: int) -> bool:
        """Tell whether some of the answer to a call has come."""
        call = self._calls.get(stream)
        return call is not None and call.begun

    def reply(self) -> bytes:
        """Take what is to be sent."""
        data = bytes(self.replies)
        self.replies.clear()
        return data

    def start(self, headers: bytes, message: bytes, timeout_s: float) -> tuple[int, bytes]:
        """Begin a call: give its number, and what is to be sent. `headers` is a header block; the message must fit."""
        self._stream = stream = self._stream + 2
        self._calls[stream] = _Call()
        value, size = _timeout(timeout_s), len(message)
        block = b"%b%b%c%b" % (headers, _TIMEOUT, len(value), value)
        head, length = len(block), size + _MESSAGE.size
        self._room -= length
        data = b"".join(
            (
                self.replies,
                _FRAME.pack(head >> 8, head & 255, _HEADERS, _END_HEADERS, stream),
                block,
                _DATA_OF_MESSAGE.pack(length >> 8, length & 255, _DATA, _END_STREAM, stream, 0, size),
                message,
            )
        )
        self.replies.clear()
        return stream, data

    def give_up(self, stream: int) -> bytes:
        """Forget a call: give what tells the peer that nobody waits for its answer any more, nothing if it is over."""
        if self._calls.pop(stream, None) is None:
            return b""
        return _frame(_RST, 0, stream, _CANCEL.to_bytes(4, "big"))

    def take(self, data: bytes) -> list[tuple[int, Outcome]]:
        """Take bytes that came; give the calls that have ended, and how.

        Raise Garbled where what came is no HTTP/2.
        """
        if self._rest:
            data = self._rest + data
        position, size = 0, len(data)
        while size - position >= _FRAME.size:
            high, low, kind, flags, stream = _FRAME.unpack_from(data, position)
            length = high << 8 | low
            if kind == _HEADERS and self._usual is not None and (end := self._take_usual(data, position, stream)):
                position = end
                continue
            if length > _LARGEST_FRAME:
                raise Garbled(_not_http2(data, greeted=self.greeted))
            start = position + _FRAME.size
            if start + length > size:
                break
            position = start + length
            if kind == _DATA:
                self._take_data(flags, stream & _HUGE, data[start:position])
            elif kind == _HEADERS and flags & ~_END_STREAM == _END_HEADERS:
                self._take_block(stream & _HUGE, flags, data[start:position])
            elif kind == _WINDOW and not stream & _HUGE:  # Triton (24.10) sends one behind each answer
                self._room += int.from_bytes(data[start:position], "big") & _HUGE
            else:
                self._take_rarer(kind, flags, stream & _HUGE, data[start:position])
        self._rest = data[position:]
        if self._received > _REFILL:
            self.replies += _frame(_WINDOW, 0, 0, self._received.to_bytes(4, "big"))
            self._received = 0
        if not self._ended:
            return []
        ended, self._ended = self._ended, []
        return ended

    def _take_usual(self, data: bytes, position: int, stream: int) -> int:
        """Take a whole answer of one frame between header blocks like those around the last one; give where it ends.

        0 where it isn't one, and nothing of it has been taken.
        """
        begin, before, begin_last, last = self._usual or (b"",) * 4
        number, call = stream.to_bytes(4, "big"), self._calls.get(stream)
        head = b"%b%b%b" % (begin, number, before)
        message = position + len(head) + _DATA_OF_MESSAGE.size
        if call is None or call.begun or message > len(data) or not data.startswith(head, position):
            return 0
        high, low, kind, flags, of_stream, mark, size = _DATA_OF_MESSAGE.unpack_from(data, position + len(head))
        tail = b"%b%b%b" % (begin_last, number, last)
        end: int = message + size
        if (
            (kind, flags, of_stream, mark, high << 8 | low) != (_DATA, 0, stream, 0, size + _MESSAGE.size)
            or size > LARGEST_MESSAGE
            or not data.startswith(tail, end)
        ):
            return 0
        del self._calls[stream]
        self._received += size + _MESSAGE.size
        self._ended.append((stream, GrpcAnswer(0, "", data[message:end])))
        return end + len(tail)

    def _take_data(self, flags: int, stream: int, payload: bytes) -> None:
        self._received += len(payload)
        call = self._calls.get(stream)
        if call is None:
            self._check_known(stream)
            return
        call.body.append(_unpadded(flags, payload))
        if flags & _END_STREAM:
            self._end(stream, Garbled("the answer ended without a status"))

    def _take_block(self, stream: int, flags: int, block: bytes) -> None:
        """Take a whole header block: what comes first of an answer, or last, or both."""
        call = self._calls.get(stream)
        if call is None:
            self._check_known(stream)
            return
        fields = _fields(block)
        if not call.begun:
            call.begun, call.first, call.encoding = True, block, fields.get("grpc-encoding", "")
        status = fields.get(":status", "200")
        if status != "200" and "grpc-status" not in fields and not status.startswith("1"):
            call.code, call.words = _CODE_OF_STATUS.get(status, 2), f"HTTP status {status}, which is not gRPC's"
        if flags & _END_STREAM:
            outcome = _outcome(call, fields)
            if isinstance(outcome, GrpcAnswer) and not outcome.code:
                self._usual = _begin(call.first, 0), call.first, _begin(block, _END_STREAM), block
            self._end(stream, outcome)

    def _take_rarer(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind in (_HEADERS, _CONTINUATION):
            if kind == _HEADERS:
                payload = _unpadded(flags, payload)
                self._head, self._block = payload[5:] if flags & _WEIGHTED else payload, flags
            else:
                self._head += payload
            if len(self._head) > _LARGEST_HEAD:
                raise Garbled("a header block without an end")
            if flags & _END_HEADERS:
                self._take_block(stream, self._block, self._head)
        elif kind == _SETTINGS and not flags & _ACK:
            self.greeted = True
            self._set(payload)
            self.replies += _frame(_SETTINGS, _ACK, 0, b"")
        elif kind == _PING and not flags & _ACK:
            self.replies += _frame(_PING, _ACK, 0, payload)
        elif kind == _WINDOW and not stream:
            self._room += int.from_bytes(payload, "big") & _HUGE
        elif kind == _GOAWAY:
            self._last = min(int.from_bytes(payload[:4], "big") & _HUGE, _HUGE - 1)
            for late in [number for number in self._calls if number > self._last]:
                self._end(late, Leaving("the server is closing the connection, and has not taken the call"))
        elif kind == _RST and stream in self._calls:
            self._end(stream, _reset(int.from_bytes(payload, "big"), begun=self._calls[stream].begun))
        elif kind == _PUSH:
            raise Garbled("the peer pushes what nobody asked for")

    def _end(self, stream: int, outcome: Outcome) -> None:
        del self._calls[stream]
        self._ended.append((stream, outcome))

    def _check_known(self, stream: int) -> None:
        """Pass over what comes of a call that was given up. Raise Garbled for one that was never made."""
        if not 0 < stream <= self._stream:
            raise Garbled(f"an answer to call {stream}, which was never made")

    def _set(self, payload: bytes) -> None:
        for offset in range(0, len(payload) - 5, 6):
            name, value = _SETTING.unpack_from(payload, offset)
            if name == _MOST_CALLS:
                self._most = value
            elif name == _WINDOW_OF_A_CALL:
                self._call_room = value


def _reset(code: int, *, begun: bool) -> Outcome:
    """Tell what a reset means: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Errors"."""
    if code == _REFUSED_STREAM:
        return Unsent("the server has refused the call")
    if code == _CALM and not begun:
        return GrpcAnswer(_EXHAUSTED, "the server takes no more calls now: HTTP/2 error 11, ENHANCE_YOUR_CALM", b"")
    return Garbled(f"the server has given the call up: HTTP/2 error {code}")


def _outcome(call: _Call, fields: dict[str, str]) -> Outcome:
    """Make the answer of its last header block."""
    code = fields.get("grpc-status", "")
    if code != "0":
        if code.isascii() and code.isdecimal():
            return GrpcAnswer(int(code), unquote(fields.get("grpc-message", "")), b"")
        if call.code < 0:
            return Garbled("the answer ended without a status")
        return GrpcAnswer(call.code, call.words, b"")
    body = call.body[0] if len(call.body) == 1 else b"".join(call.body)
    if len(body) < _MESSAGE.size:
        return Garbled("the answer has no message")
    compressed, size = _MESSAGE.unpack_from(body)
    if size != len(body) - _MESSAGE.size:
        return Garbled("the answer is not one whole message")
    message = body[_MESSAGE.size :]
    return _decompressed(message, call.encoding) if compressed else GrpcAnswer(0, "", message)


def _decompressed(message: bytes, encoding: str) -> Outcome:
    """Read a message that nobody asked to compress, as a server or a proxy may do all the same."""
    if encoding not in ("gzip", "deflate"):
        return Garbled(f"the answer is compressed as {encoding!r}, which nobody asked for")
    try:
        return GrpcAnswer(0, "", zlib.decompress(message, zlib.MAX_WBITS | 32))  # 32: told apart by their heads
    except zlib.error as error:
        return Garbled(f"the answer is compressed, and broken: {error}")


def _unpadded(flags: int, payload: bytes) -> bytes:
    if not flags & _PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise Garbled("a frame's padding is larger than the frame")
    return payload[1 : len(payload) - payload[0]]


@lru_cache(maxsize=1024)  # without a table, a block means the same each time
def _fields(block: bytes) -> dict[str, str]:
    try:
        return decode_headers(block)
    except ValueError as error:
        raise Garbled(str(error)) from error


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    size = len(payload)
    return _FRAME.pack(size >> 8, size & 255, kind, flags, stream) + payload


def _begin(block: bytes, end: int) -> bytes:
    """Write how the frame of a header block begins, up to the number of its stream."""
    return _frame(_HEADERS, _END_HEADERS | end, 0, block)[:5]


def _timeout(seconds: float) -> bytes:
    """Write a grpc-timeout: at most eight digits, and a unit."""
    if seconds < 99:
        return b"%du" % max(1, int(seconds * 1e6))
    return b"%dm" % int(seconds * 1e3) if seconds < 99_000 else b"%dS" % int(seconds)


def _not_http2(data: bytes, *, greeted: bool) -> str:
    if data[:5] == b"HTTP/" and not greeted:
        return "what answers there speaks no gRPC: is it the server's HTTP port? then use http://…, or the gRPC port"
    return "the answer is not HTTP/2"
