"""Unary gRPC calls over one HTTP/2 connection (RFC 9113), without I/O: bytes in, bytes out.

Its user sends what `start` gives and what is in `replies`, and hands all that comes to `greet` until the peer has
`greeted`, then to `take`. A small message goes out whole or not at all: all that matters of the peer's windows is
whether it `fits` in them now. A large one is begun by `begin`, and goes out as `more` gives its pieces; a large answer
is received right where it stays, which `target` tells.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from tritonforge.client.grpc.answer import (
    NO_STATUS,
    Coming,
    GrpcAnswer,
    Outcome,
    note_status,
    outcome,
    read_fields,
    reset,
)
from tritonforge.client.grpc.upload import MESSAGE_HEAD, Upload
from tritonforge.client.http.answer import Garbled, Leaving
from tritonforge.client.message import Buffer
from tritonforge.hpack import encode_field

__all__ = ["LARGEST_MESSAGE", "GrpcFrames"]

_DATA, _HEADERS, _PRIORITY, _RST, _SETTINGS, _PUSH, _PING, _GOAWAY, _WINDOW, _CONTINUATION = range(10)
_END_STREAM, _ACK, _END_HEADERS, _PADDED, _WEIGHTED = 1, 1, 4, 8, 32
_CANCEL = 8
_LARGEST_HEAD = 1 << 18
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME = struct.Struct(">HBBBI")
_SETTING = struct.Struct(">HI")
_DATA_OF_MESSAGE = struct.Struct(">HBBBIBI")  # a frame's head, and the message's
_LARGEST_FRAME = 1 << 14  # what both sides take as long as they say nothing else
_LARGEST_TAKEN = 1 << 20  # what is said to the peer: below what the beginning of an HTTP/1 answer looks like
_LAST_STREAM = (1 << 31) - 3
_HUGE = (1 << 31) - 1
_FIRST_WINDOW = 65535
_REFILL = 1 << 30
_MOST_CALLS, _WINDOW_OF_A_CALL, _FRAME_SIZE = 3, 4, 5
_OUR_SETTINGS = ((1, 0), (2, 0), (_WINDOW_OF_A_CALL, _HUGE), (_FRAME_SIZE, _LARGEST_TAKEN))  # no table, no pushes

LARGEST_MESSAGE = _LARGEST_FRAME - MESSAGE_HEAD.size
"""The bytes of a message that one frame takes: larger ones are begun, and sent piece by piece."""

_HTTP1 = b"HTTP/"
_HTTP1_PORT = "what answers there speaks no gRPC: is it the server's HTTP port? then use http://…, or the gRPC port"
_NOT_HTTP2 = "the answer is not HTTP/2"

_TIMEOUT = encode_field("grpc-timeout", "")[:-1]

_LATER_S = 1.0
"""How much longer than the client a server is told to wait. A call is late by the client's clock, and reset: where a
server's own clock ends it, Triton 24.10 more often meets its race between a call's end and its cancellation."""


class GrpcFrames:
    """One connection's state. After an error that `take` raises: close the connection."""

    __slots__ = ("_block", "_call_room", "_calls", "_coming", "_ended", "_frame_size", "_head", "_last", "_left",
                 "_most", "_received", "_rest", "_room", "_stream", "_uploads", "_usual", "greeted",
                 "replies")  # fmt: skip

    def __init__(self) -> None:
        settings = b"".join(_SETTING.pack(*pair) for pair in _OUR_SETTINGS)
        window = (_HUGE - _FIRST_WINDOW).to_bytes(4, "big")
        self.replies = bytearray(_PREFACE + _frame(_SETTINGS, 0, 0, settings) + _frame(_WINDOW, 0, 0, window))
        """What is to be sent at once, or with the next call."""
        self.greeted = False
        """Whether the peer has shown that it speaks HTTP/2."""
        self._calls: dict[int, Coming] = {}
        self._ended: list[tuple[int, Outcome]] = []
        self._stream = -1
        self._last = _HUGE  # the last stream that the peer takes, once it has said so
        self._most = _HUGE  # calls at a time
        self._room, self._call_room = _FIRST_WINDOW, _FIRST_WINDOW
        self._frame_size = _LARGEST_FRAME
        self._uploads: dict[int, Upload] = {}
        self._received = 0
        self._rest = b""
        self._left, self._coming = 0, (0, 0)  # of a frame of data that isn't whole yet: bytes, call and flags
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
        return size + MESSAGE_HEAD.size <= room and len(self._calls) < self._most

    @property
    def full(self) -> bool:
        """Whether the peer takes no more calls now."""
        return len(self._calls) >= self._most

    @property
    def uploads(self) -> int:
        """How many large messages are on their way."""
        return len(self._uploads)

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
        self._calls[stream] = Coming()
        value, size = _timeout(timeout_s), len(message)
        block = b"%b%b%c%b" % (headers, _TIMEOUT, len(value), value)
        head, length = len(block), size + MESSAGE_HEAD.size
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

    def begin(self, headers: bytes, parts: Sequence[Buffer], size: int, timeout_s: float) -> tuple[int, bytes]:
        """Begin a call with a message of any size: give its number, and what is to be sent before its pieces."""
        self._stream = stream = self._stream + 2
        self._calls[stream] = Coming()
        self._uploads[stream] = Upload(parts, size, self._call_room)
        value = _timeout(timeout_s)
        head = _frame(_HEADERS, _END_HEADERS, stream, b"%b%b%c%b" % (headers, _TIMEOUT, len(value), value))
        return stream, self.reply() + head

    def more(self, stream: int, most: int) -> list[Buffer] | None:
        """Give what else the peer has room for of a message: frames of at most so many bytes, in pieces.

        None where all of it has been given.
        """
        upload = self._uploads.get(stream)
        if upload is None:
            return None
        pieces: list[Buffer] = []
        most = min(most, self._room, upload.room)
        while most > 0 and upload.left:
            size = min(most, upload.left, self._frame_size)
            end = _END_STREAM if size == upload.left else 0
            pieces += (_FRAME.pack(size >> 8, size & 255, _DATA, end, stream), *upload.cut(size))
            most -= size
            self._room -= size
        if not upload.left:
            del self._uploads[stream]
        return pieces

    def retire(self) -> None:
        """Take no other call."""
        self._last = min(self._last, _HUGE - 1)

    def give_up(self, stream: int) -> bytes:
        """Forget a call: give what tells the peer that nobody waits for its answer any more, nothing if it is over."""
        sent = self._uploads.pop(stream, None) is None
        if self._calls.pop(stream, None) is None and sent:
            return b""
        return _frame(_RST, 0, stream, _CANCEL.to_bytes(4, "big"))

    def greet(self, data: bytes) -> list[tuple[int, Outcome]]:
        """Take bytes that came before the peer has greeted, as `take` does.

        Raise Garbled where they don't begin with settings, as HTTP/2 does (RFC 9113, 3.4), from the fifth byte on.
        """
        data, self._rest = self._rest + data, b""
        if len(data) >= len(_HTTP1) and not _begins_settings(data[: _FRAME.size]):
            raise Garbled(_HTTP1_PORT if data.startswith(_HTTP1) else _NOT_HTTP2)
        return self.take(data)

    def take(self, data: bytes) -> list[tuple[int, Outcome]]:
        """Take bytes that came; give the calls that have ended, and how.

        Raise Garbled where what came is no HTTP/2.
        """
        if self._rest:
            data = self._rest + data
        position, size = self._go_on(data, 0) if self._left else 0, len(data)
        while size - position >= _FRAME.size:
            high, low, kind, flags, stream = _FRAME.unpack_from(data, position)
            length = high << 8 | low
            if kind == _HEADERS and self._usual is not None and (end := self._take_usual(data, position, stream)):
                position = end
                continue
            if length > _LARGEST_TAKEN:
                raise Garbled(_NOT_HTTP2)
            start = position + _FRAME.size
            if start + length > size:
                if kind == _DATA and not flags & _PADDED:
                    self._left, self._coming = length, (stream & _HUGE, flags)
                    position = self._go_on(data, start)
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
        return self._conclude()

    def target(self) -> memoryview | None:
        """Give the memory into which what comes next is to be received; None where `take` is to have it."""
        call = self._calls.get(self._coming[0]) if self._left else None
        return None if call is None else call.body.room(self._left)

    def filled(self, count: int) -> list[tuple[int, Outcome]]:
        """Take note that so many bytes have been received into what `target` gave. Give what `take` gives."""
        stream, flags = self._coming
        self._received += count
        self._left -= count
        call = self._calls.get(stream)
        if call is not None:
            call.body.filled(count)
            if not self._left and flags & _END_STREAM:
                self._end(stream, Garbled(NO_STATUS))
        return self._conclude()

    def _conclude(self) -> list[tuple[int, Outcome]]:
        """Open the window anew, if need be, and give the calls that have ended."""
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
            (kind, flags, of_stream, mark, high << 8 | low) != (_DATA, 0, stream, 0, size + MESSAGE_HEAD.size)
            or size > LARGEST_MESSAGE
            or not data.startswith(tail, end)
        ):
            return 0
        del self._calls[stream]
        self._received += size + MESSAGE_HEAD.size
        self._ended.append((stream, GrpcAnswer(0, "", data[message:end])))
        return end + len(tail)

    def _go_on(self, data: bytes, position: int) -> int:
        """Take what there is of a frame of data, from a position on; give where it ends."""
        end = min(len(data), position + self._left)
        self._left -= end - position
        stream, flags = self._coming
        self._take_data(0 if self._left else flags, stream, data[position:end])
        return end

    def _take_data(self, flags: int, stream: int, payload: bytes) -> None:
        self._received += len(payload)
        call = self._calls.get(stream)
        if call is None:
            self._check_known(stream)
            return
        call.body.add(_unpadded(flags, payload))
        if flags & _END_STREAM:
            self._end(stream, Garbled(NO_STATUS))

    def _take_block(self, stream: int, flags: int, block: bytes) -> None:
        """Take a whole header block: what comes first of an answer, or last, or both."""
        call = self._calls.get(stream)
        if call is None:
            self._check_known(stream)
            return
        fields = read_fields(block)
        if not call.begun:
            call.begun, call.first, call.encoding = True, block, fields.get("grpc-encoding", "")
        note_status(call, fields)
        if flags & _END_STREAM:
            came = outcome(call, fields)
            if isinstance(came, GrpcAnswer) and not came.code:
                self._usual = _begin(call.first, 0), call.first, _begin(block, _END_STREAM), block
            self._end(stream, came)

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
        elif kind == _WINDOW and stream in self._uploads:
            self._uploads[stream].room += int.from_bytes(payload, "big") & _HUGE
        elif kind == _GOAWAY:
            self._last = min(int.from_bytes(payload[:4], "big") & _HUGE, _HUGE - 1)
            for late in [number for number in self._calls if number > self._last]:
                self._end(late, Leaving("the server is closing the connection, and has not taken the call"))
        elif kind == _RST and stream in self._calls:
            self._end(stream, reset(int.from_bytes(payload, "big"), begun=self._calls[stream].begun))
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
                for upload in self._uploads.values():  # RFC 9113, 6.9.2
                    upload.room += value - self._call_room
                self._call_room = value
            elif name == _FRAME_SIZE:
                self._frame_size = value


def _unpadded(flags: int, payload: bytes) -> bytes:
    if not flags & _PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise Garbled("a frame's padding is larger than the frame")
    return payload[1 : len(payload) - payload[0]]


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    size = len(payload)
    return _FRAME.pack(size >> 8, size & 255, kind, flags, stream) + payload


def _begin(block: bytes, end: int) -> bytes:
    """Write how the frame of a header block begins, up to the number of its stream."""
    return _frame(_HEADERS, _END_HEADERS | end, 0, block)[:5]


def _timeout(seconds: float) -> bytes:
    """Write the grpc-timeout of a call that has so long: at most eight digits, and a unit."""
    seconds += _LATER_S
    if seconds < 99:
        return b"%du" % int(seconds * 1e6)
    return b"%dm" % int(seconds * 1e3) if seconds < 99_000 else b"%dS" % int(seconds)


def _begins_settings(head: bytes) -> bool:
    """Tell whether the head of a frame, as much of it as there is, is one of settings."""
    high, _, kind, flags, stream = _FRAME.unpack(head.ljust(_FRAME.size, b"\0"))
    return not high >> 8 and kind == _SETTINGS and not flags & _ACK and not stream & _HUGE
