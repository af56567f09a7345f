"""gRPC on asyncio: prepared messages in hand-written HTTP/2 frames (RFC 9113), many calls on one connection."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from typing import cast
from urllib.parse import unquote

from tritonforge.hpack import decode_headers, encode_headers
from tritonforge.load.links.lane import Events, Lane
from tritonforge.load.links.stream_message import only_ends, stream_error
from tritonforge.load.workers.job import Target

__all__ = ["GrpcLink"]

_DATA, _HEADERS, _RST, _SETTINGS, _PING, _GOAWAY, _WINDOW, _CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
_END_STREAM, _END_HEADERS, _PADDED, _PRIORITY = 1, 4, 8, 32
_LAST_HEADERS = _END_STREAM | _END_HEADERS
_ACK = 1
_HUGE = (1 << 31) - 1
_REFILL = 1 << 30
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME = struct.Struct(">HBBBI")
_HEAD = struct.Struct(">IBI")
"""A frame's size and kind in one number, its flags, its stream."""
_SETTING = struct.Struct(">HI")
_LAST_STREAM = _HUGE - 2
_REMEMBERED = 64
_LONGEST = 1 << 22
"""No frame has more bytes: 16384 are allowed (RFC 9113, 4.2), and what is no HTTP/2 is seldom read as less."""


def _head(kind: int, flags: int, stream: int, size: int) -> bytes:
    return _FRAME.pack(size >> 8, size & 255, kind, flags, stream)


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return _head(kind, flags, stream, len(payload)) + payload


def _unpadded(payload: bytes) -> bytes:
    return payload[1 : -payload[0] or None] if payload else b""


class GrpcLink(asyncio.Protocol):
    """One connection. Each request is a call of its own, ended by the server's trailers; streams answer many times.

    Of an answer that nobody looks at only the trailers are read. What is to be sent while frames are taken goes out
    together, in one write; but where answers are checked at once, or it would wait for the checks of others.
    """

    def __init__(self, target: Target, events: Events, lanes: list[Lane]) -> None:
        self._events = events
        self._lanes = lanes
        self._block = encode_headers(target.method, target.authority, target.headers)
        self._head = _FRAME.pack(len(self._block) >> 8, len(self._block) & 255, _HEADERS, _END_HEADERS, 0)[:5]
        self._calls: dict[int, Lane] = {}
        self._messages: dict[int, bytearray] = {}
        self._errors: dict[int, str] = {}
        self._windows: dict[int, int] = {}
        self._next = 1
        self._buffer: bytes | bytearray = b""
        self._lacking = 0
        self._received = 0
        self._window = 65535
        self._call_window = 65535
        self._frame_size = 16384
        self._waiting: deque[tuple[int, memoryview]] = deque()
        self._statuses: dict[bytes, str] = {}
        self._open = b""
        self._ends = False
        self._reason = ""
        self._out: list[bytes] = []
        self._taking = False
        self._checked = False
        self._abandoned = False
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open with settings: no header table, no push, and windows that never hold the server back."""
        settings = b"".join(_SETTING.pack(*pair) for pair in ((1, 0), (2, 0), (4, _HUGE)))
        grow = struct.pack(">I", _HUGE - 65535)
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._transport.write(_PREFACE + _frame(_SETTINGS, 0, 0, settings) + _frame(_WINDOW, 0, 0, grow))

    def send(self, lane: Lane, data: bytes) -> None:
        """Start a call with one message, and say that no other follows."""
        stream = self._next
        self._next = stream + 2
        self._calls[stream] = lane
        lane.stream = stream
        payload = lane.payload
        if payload is not None and (payload.stream or payload.expected is not None):
            self._messages[stream] = bytearray()
            self._checked = self._checked or not payload.stream
        identity = stream.to_bytes(4, "big")
        length = len(data)
        size = length + 5
        start = b"\0" + length.to_bytes(4, "big")
        if size <= self._frame_size and size <= self._window and size <= self._call_window and not self._waiting:
            self._window -= size
            frames = (self._head, identity, self._block, size.to_bytes(3, "big"), b"\0\1", identity, start, data)
            if self._taking and not self._checked:
                self._out += frames
            elif self._out:
                self._write(b"".join(frames))
            else:
                self._transport.write(b"".join(frames))
        else:
            self._write(self._head + identity + self._block)
            self._windows[stream] = self._call_window
            self._waiting.append((stream, memoryview(start + data)))
            self._flush()
        if stream >= _LAST_STREAM:
            self.close()

    def abandon(self, lane: Lane) -> None:
        """Reset the call under way."""
        if self._calls.get(lane.stream) is lane:
            self._forget(lane.stream)
            if not self._transport.is_closing():
                self._write(_frame(_RST, 0, lane.stream, struct.pack(">I", 8)))

    def close(self) -> None:
        """Close the connection; calls under way are told to be lost unless it was given up."""
        self._transport.abort()

    def give_up(self) -> None:
        """Close without a word to anyone."""
        self._abandoned = True
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every lane that hasn't gone to another connection."""
        reason = self._reason or (str(exc) if exc else "the server closed the connection")
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(reason))
        if not self._abandoned:
            for lane in self._lanes:
                if lane.link is self:
                    self._events.lost(lane, reason)

    def data_received(self, data: bytes) -> None:
        """Take frames, as many as are whole."""
        if self._buffer and not (data := self._join(data)):
            return
        position, end = 0, len(data)
        calls, messages, statuses, unpack = self._calls, self._messages, self._statuses, _HEAD.unpack_from
        self._taking = True
        while end - position >= 9:
            head, flags, stream = unpack(data, position)
            start = position + 9
            after = start + (head >> 8)
            if after > end:
                self._lack(after - end, after - start)
                break
            position = after
            kind = head & 255
            # What nearly every frame is: an answer's headers, its one frame of data, its trailers.
            if kind == _HEADERS and flags == _END_HEADERS:
                self._begun()
            elif kind == _DATA and stream not in messages:
                self._received += after - start
            elif kind == _HEADERS and flags == _LAST_HEADERS and stream not in messages:
                block = data[start:after]
                if block in statuses and stream in calls:
                    self._events.ended(calls.pop(stream), "", b"")
                else:
                    self._end(stream, block)
            else:
                self._take(kind, flags, stream & _HUGE, data[start:after])
        self._taking = False
        self._buffer = bytearray(data[position:]) if self._lacking else data[position:]
        if self._received > _REFILL:
            self._out.append(_frame(_WINDOW, 0, 0, struct.pack(">I", self._received)))
            self._received = 0
        if self._out:
            if not self._transport.is_closing():
                self._transport.write(b"".join(self._out))
            self._out.clear()

    def _lack(self, missing: int, size: int) -> None:
        """Wait for the rest of a frame, or close where it can't be one."""
        if size <= _LONGEST:
            self._lacking = missing
            return
        self._reason = f"not HTTP/2: a frame of {size} bytes"
        self.close()

    def _join(self, data: bytes) -> bytes:
        """Put what came behind what was there; give nothing while that is less than a frame, which grows in place."""
        if len(data) < self._lacking:
            self._lacking -= len(data)
            self._buffer += data
            return b""
        self._lacking = 0
        return bytes(self._buffer) + data

    def _begun(self) -> None:
        """Let who times a connection know that an answer begins."""

    def _write(self, data: bytes) -> None:
        if self._taking and not self._checked:
            self._out.append(data)
            return
        if self._out:  # it comes first: the numbers of calls ascend
            data = b"".join((*self._out, data))
            self._out.clear()
        self._transport.write(data)

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _DATA:
            self._received += len(payload)
            if stream in self._messages:
                self._message(stream, _unpadded(payload) if flags & _PADDED else payload)
        elif kind in (_HEADERS, _CONTINUATION):
            self._headers(kind, flags, stream, payload)
        else:
            self._manage(kind, flags, stream, payload)

    def _message(self, stream: int, payload: bytes) -> None:
        message, lane = self._messages[stream], self._calls[stream]
        message += payload
        if lane.payload is None or not lane.payload.stream:
            return
        while len(message) >= 5 and len(message) >= (size := 5 + int.from_bytes(message[1:5], "big")):
            content = message[5:size]
            del message[:size]
            if error := stream_error(content):
                self._errors[stream] = error
            elif not only_ends(content):
                self._events.responded(lane)

    def _headers(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _HEADERS:
            if flags & _PADDED:
                payload = _unpadded(payload)
            self._open = payload[5:] if flags & _PRIORITY else payload
            self._ends = bool(flags & _END_STREAM)
        else:
            self._open += payload
        if flags & _END_HEADERS and self._ends:
            self._end(stream, self._open)

    def _end(self, stream: int, block: bytes) -> None:
        if stream not in self._calls:
            return
        lane, message, wrong = self._forget(stream)
        error = self._statuses.get(block)
        if error is None:
            error = self._read_status(block)
        self._events.ended(lane, error or wrong, memoryview(message)[5:])

    def _forget(self, stream: int) -> tuple[Lane, bytes | bytearray, str]:
        """Take a call out; give its lane, what came of its message, and the error of a stream."""
        self._windows.pop(stream, None)
        return self._calls.pop(stream), self._messages.pop(stream, b""), self._errors.pop(stream, "")

    def _read_status(self, block: bytes) -> str:
        try:
            fields = decode_headers(block)
        except ValueError as error:  # of this call alone: there is no table that others need
            return f"malformed answer: {error}"
        status = fields.get("grpc-status", "without a status that can be read")
        if status != "0":
            return f"gRPC {status}: {unquote(fields.get('grpc-message', ''))[:200]}"
        if len(self._statuses) < _REMEMBERED:
            self._statuses[block] = ""
        return ""

    def _manage(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _SETTINGS and not flags & _ACK:
            for offset in range(0, len(payload) - 5, 6):
                self._set(*_SETTING.unpack_from(payload, offset))
            self._write(_frame(_SETTINGS, _ACK, 0, b""))
            if not self.ready.done():
                self.ready.set_result(None)
            self._flush()
        elif kind == _PING and not flags & _ACK:
            self._write(_frame(_PING, _ACK, 0, payload))
        elif kind == _WINDOW:
            self._grow(stream, int.from_bytes(payload, "big") & _HUGE)
        elif kind == _GOAWAY:
            self.close()
        elif kind == _RST and stream in self._calls:
            lane, *_ = self._forget(stream)
            self._events.ended(lane, f"HTTP/2 reset: code {int.from_bytes(payload, 'big')}", b"")

    def _set(self, name: int, value: int) -> None:
        if name == 4:
            for stream in self._windows:
                self._windows[stream] += value - self._call_window
            self._call_window = value
        elif name == 5:
            self._frame_size = value

    def _grow(self, stream: int, by: int) -> None:
        if not stream:
            self._window += by
        elif stream in self._windows:
            self._windows[stream] += by
        if self._waiting:
            self._flush()

    def _flush(self) -> None:
        """Send what the windows allow of the messages that wait, in their order."""
        windows = self._windows
        frames: list[bytes | memoryview] = []
        for _ in range(len(self._waiting)):
            stream, body = self._waiting.popleft()
            while body and stream in windows:
                size = min(len(body), self._frame_size, self._window, windows[stream])
                if size <= 0:
                    self._waiting.append((stream, body))
                    break
                flags = _END_STREAM if size == len(body) else 0
                frames += (_head(_DATA, flags, stream, size), body[:size])
                body = body[size:]
                self._window -= size
                windows[stream] -= size
        if frames:
            self._write(b"".join(frames))
