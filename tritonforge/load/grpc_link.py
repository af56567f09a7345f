"""gRPC on asyncio: prepared messages in hand-written HTTP/2 frames (RFC 9113), many calls on one connection."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from typing import cast
from urllib.parse import unquote

from tritonforge.load.hpack import decode_headers, encode_headers
from tritonforge.load.job import Target
from tritonforge.load.lane import Events, Lane
from tritonforge.load.stream_error import stream_error

__all__ = ["GrpcLink"]

_DATA, _HEADERS, _RST, _SETTINGS, _PING, _GOAWAY, _WINDOW, _CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
_END_STREAM, _END_HEADERS, _PADDED, _PRIORITY = 1, 4, 8, 32
_ACK = 1
_HUGE = (1 << 31) - 1
_REFILL = 1 << 30
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME = struct.Struct(">HBBBI")
_SETTING = struct.Struct(">HI")
_LAST_STREAM = _HUGE - 2


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    size = len(payload)
    return _FRAME.pack(size >> 8, size & 255, kind, flags, stream) + payload


class _Call:
    __slots__ = ("error", "lane", "message", "window")

    def __init__(self, lane: Lane, window: int) -> None:
        self.lane = lane
        self.message = bytearray()
        self.window = window
        self.error = ""


class GrpcLink(asyncio.Protocol):
    """One connection. Each request is a call of its own, ended by the server's trailers; streams answer many times."""

    def __init__(self, target: Target, events: Events, lanes: list[Lane]) -> None:
        self._events = events
        self._lanes = lanes
        self._block = encode_headers(target.method, target.authority, target.headers)
        self._head = _FRAME.pack(len(self._block) >> 8, len(self._block) & 255, _HEADERS, _END_HEADERS, 0)[:5]
        self._calls: dict[int, _Call] = {}
        self._streams: dict[Lane, int] = {}
        self._next = 1
        self._buffer = b""
        self._received = 0
        self._window = 65535
        self._call_window = 65535
        self._frame_size = 16384
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._statuses: dict[bytes, str] = {}
        self._open = b""
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
        self._calls[stream] = _Call(lane, self._call_window)
        self._streams[lane] = stream
        identity = stream.to_bytes(4, "big")
        size = len(data) + 5
        body = b"\0" + (size - 5).to_bytes(4, "big") + data
        if size <= self._frame_size and size <= self._window and size <= self._call_window and not self._waiting:
            self._window -= size
            self._transport.write(
                b"".join((self._head, identity, self._block, size.to_bytes(3, "big"), b"\0\1", identity, body))
            )
        else:
            self._transport.write(self._head + identity + self._block)
            self._waiting.append((stream, body))
            self._flush()
        if stream >= _LAST_STREAM:
            self.close()

    def abandon(self, lane: Lane) -> None:
        """Reset the call under way."""
        stream = self._streams.pop(lane, 0)
        if self._calls.pop(stream, None) is not None and not self._transport.is_closing():
            self._transport.write(_frame(_RST, 0, stream, struct.pack(">I", 8)))

    def close(self) -> None:
        """Close the connection; calls under way are told to be lost unless it was given up."""
        self._transport.abort()

    def give_up(self) -> None:
        """Close without a word to anyone."""
        self._abandoned = True
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every lane."""
        reason = str(exc) if exc else "the server closed the connection"
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(reason))
        if not self._abandoned:
            for lane in self._lanes:
                self._events.lost(lane, reason)

    def data_received(self, data: bytes) -> None:
        """Take frames, as many as are whole."""
        if self._buffer:
            data = self._buffer + data
        position, end = 0, len(data)
        while end - position >= 9:
            size = int.from_bytes(data[position : position + 3], "big")
            after = position + 9 + size
            if after > end:
                break
            kind, flags = data[position + 3], data[position + 4]
            stream = int.from_bytes(data[position + 5 : position + 9], "big") & _HUGE
            self._take(kind, flags, stream, data[position + 9 : after])
            position = after
        self._buffer = data[position:]

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _DATA:
            self._received += len(payload)
            if self._received > _REFILL:
                self._transport.write(_frame(_WINDOW, 0, 0, struct.pack(">I", self._received)))
                self._received = 0
            call = self._calls.get(stream)
            if call is not None:
                self._message(call, payload[1 : -payload[0] or None] if flags & _PADDED else payload)
        elif kind in (_HEADERS, _CONTINUATION):
            self._headers(kind, flags, stream, payload)
        else:
            self._manage(kind, flags, stream, payload)

    def _message(self, call: _Call, payload: bytes) -> None:
        if call.lane.payload is None or not call.lane.payload.stream:
            call.message += payload
            return
        message = call.message
        message += payload
        while len(message) >= 5 and len(message) >= (size := 5 + int.from_bytes(message[1:5], "big")):
            error = stream_error(message[5:size])
            del message[:size]
            if error:
                call.error = error
            else:
                self._events.responded(call.lane)

    def _headers(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _HEADERS:
            if flags & _PADDED:
                payload = payload[1 : -payload[0] or None]
            self._open = payload[5:] if flags & _PRIORITY else payload
            self._ends = bool(flags & _END_STREAM)
        else:
            self._open += payload
        if not (flags & _END_HEADERS and self._ends):
            return
        call = self._calls.pop(stream, None)
        if call is None:
            return
        self._streams.pop(call.lane, None)
        error = self._statuses.get(self._open)
        if error is None:
            error = self._read_status(self._open)
        self._events.ended(call.lane, error or call.error, memoryview(call.message)[5:])

    def _read_status(self, block: bytes) -> str:
        fields = decode_headers(block)
        status = fields.get("grpc-status", "without a status that can be read")
        if status != "0":
            return f"gRPC {status}: {unquote(fields.get('grpc-message', ''))[:200]}"
        self._statuses[block] = ""
        return ""

    def _manage(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _SETTINGS and not flags & _ACK:
            for offset in range(0, len(payload), 6):
                self._set(*_SETTING.unpack_from(payload, offset))
            self._transport.write(_frame(_SETTINGS, _ACK, 0, b""))
            if not self.ready.done():
                self.ready.set_result(None)
            self._flush()
        elif kind == _PING and not flags & _ACK:
            self._transport.write(_frame(_PING, _ACK, 0, payload))
        elif kind == _WINDOW:
            self._grow(stream, int.from_bytes(payload, "big") & _HUGE)
        elif kind == _GOAWAY:
            self.close()
        elif kind == _RST and (call := self._calls.pop(stream, None)) is not None:
            self._streams.pop(call.lane, None)
            self._events.ended(call.lane, f"HTTP/2 reset: code {int.from_bytes(payload, 'big')}", b"")

    def _set(self, name: int, value: int) -> None:
        if name == 4:
            for call in self._calls.values():
                call.window += value - self._call_window
            self._call_window = value
        elif name == 5:
            self._frame_size = value

    def _grow(self, stream: int, by: int) -> None:
        if not stream:
            self._window += by
        elif (call := self._calls.get(stream)) is not None:
            call.window += by
        if self._waiting:
            self._flush()

    def _flush(self) -> None:
        """Send what the windows allow of the messages that wait, in their order."""
        for _ in range(len(self._waiting)):
            stream, body = self._waiting.popleft()
            call = self._calls.get(stream)
            while call is not None and body:
                size = min(len(body), self._frame_size, self._window, call.window)
                if size <= 0:
                    self._waiting.append((stream, body))
                    break
                flags = _END_STREAM if size == len(body) else 0
                self._transport.write(_frame(_DATA, flags, stream, body[:size]))
                body = body[size:]
                self._window -= size
                call.window -= size
