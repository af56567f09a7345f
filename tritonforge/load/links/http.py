"""HTTP/1.1 on asyncio: prepared bytes out, the least reading of what comes back."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Callable
from typing import cast

from tritonforge.load.links.chunks import Chunks
from tritonforge.load.links.lane import Events, Lane
from tritonforge.load.workers.job import Target

__all__ = ["NO_SIZE", "HttpLink", "closes", "connect", "error_words"]

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([^\r]*)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r]*chunked", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection:[^\r]*\bclose\b", re.IGNORECASE)
_KEEP = re.compile(rb"\r\nconnection:[^\r]*\bkeep-alive\b", re.IGNORECASE)
_BODILESS = (b"204", b"304")
_UNENDED = 1 << 62
_HTTP = b"HTTP/1."
_LONGEST_HEAD = 1 << 20
_DIGITS, _SHOWN = 18, 40
NO_SIZE = "malformed answer: a chunk has no size"
_TOO_LONG = "malformed answer: it goes on after the end that its Content-Length gives"
_CLOSED = "the server closed the connection"
_END = b"\r\n\r\n"


class HttpLink(asyncio.Protocol):
    """One connection, on which one request at a time is under way; lost, idle, where an answer ends it."""

    def __init__(self, events: Events, lane: Lane) -> None:
        self._events = events
        self._lane = lane
        self._buffer: bytes | bytearray = b""
        self._head = b""
        self._wanted = -1
        self._chunks: Chunks | None = None
        self._transport: asyncio.Transport | None = None
        self._socket = -1
        self._abandoned = self._last = self._chunked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready to send."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        if transport.get_extra_info("sslcontext") is None:
            self._socket = transport.get_extra_info("socket").fileno()

    def send(self, lane: Lane, data: bytes) -> None:
        """Write a whole request, at once: a transport of uvloop's would wait for all other answers to be read."""
        transport = self._transport
        assert transport is not None
        if self._socket >= 0 and not transport.is_closing() and not transport.get_write_buffer_size():
            try:
                written = os.write(self._socket, data)
            except OSError:  # full, or broken: the transport waits, or tells of the loss
                written = 0
            if written == len(data):
                return
            transport.write(memoryview(data)[written:])
        else:
            transport.write(data)

    def abandon(self, lane: Lane) -> None:
        """Close: an answer that is no longer waited for would be taken for the next one."""
        self._abandoned = True
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take bytes; tell of the response once it is whole."""
        if self._buffer:
            if self._wanted >= 0:
                self._go_on(data)
                return
            data = bytes(self._buffer) + data
        end = data.find(_END)
        if end < 0:
            if not data.startswith(_HTTP[: len(data)]):
                self._broken(_foreign(data))
            elif len(data) > _LONGEST_HEAD:
                self._broken("malformed answer: its headers have no end")
            else:
                self._buffer = data
            return
        if not self._measure(data, end + 4):
            return
        if len(data) < self._wanted:
            self._begin(data)
        elif len(data) > self._wanted:
            self._broken(_TOO_LONG)
        else:
            self._finish(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell of it, unless it was given up here; an answer without a length ends so."""
        if self._abandoned:
            return
        if self._wanted >= _UNENDED and self._chunks is None and exc is None:
            self._finish(self._buffer)
        else:
            self._events.lost(self._lane, str(exc) if exc else _CLOSED)

    def _begin(self, data: bytes) -> None:
        """Keep an answer's beginning. What follows is put behind it in place: no byte is copied with each piece."""
        self._buffer = bytearray(data)
        if self._chunked:
            self._chunks = Chunks()
            del self._buffer[self._body :]
            self._go_on(data[self._body :])

    def _go_on(self, data: bytes) -> None:
        """Take more of a body."""
        chunks = self._chunks
        if chunks is not None:
            try:
                data = chunks.feed(data)
            except ValueError:
                self._broken(NO_SIZE)
                return
        self._buffer += data
        if len(self._buffer) > self._wanted:
            self._broken(_TOO_LONG)
        elif len(self._buffer) == self._wanted or (chunks is not None and chunks.ended):
            self._finish(self._buffer)

    def _measure(self, data: bytes, start: int) -> bool:
        # Triton's headers are the same for the same model and size: they are read once.
        head = data[:start]
        if head != self._head and not self._read_head(head, data, start):
            return False
        self._body = start
        self._wanted = start + self._length
        return True

    def _read_head(self, head: bytes, data: bytes, start: int) -> bool:
        """Find how long the body is; give False where there is none yet."""
        if not head.startswith(_HTTP):
            return self._broken(_foreign(head))
        status = head[9:12]
        if status[:1] == b"1":  # interim: the answer follows (RFC 9110, 15.2)
            self._buffer = b""
            if len(data) > start:
                self.data_received(data[start:])
            return False
        found = _LENGTH.search(head)
        bodiless = status in _BODILESS
        self._chunked = found is None and not bodiless and _CHUNKED.search(head) is not None
        if bodiless:
            self._length = 0
        elif found is None:  # its chunks tell, or it ends with the connection (RFC 9112, 6.3)
            self._length = _UNENDED
        elif found[1].strip().isdigit() and len(found[1]) <= _DIGITS:
            self._length = int(found[1])
        else:
            return self._broken(f"malformed answer: its Content-Length is {found[1][:_SHOWN].decode('latin-1')}")
        self._last = closes(head) or (self._length == _UNENDED and not self._chunked)
        self._ok = status == b"200" and not self._last
        self._head = head
        return True

    def _finish(self, data: bytes | bytearray) -> None:
        self._wanted, self._buffer, self._chunks = -1, b"", None
        body = memoryview(data)[self._body :]
        if self._ok:
            self._events.ended(self._lane, "", body)
            return
        status = bytes(data[9:12])
        words = "" if status == b"200" else f"HTTP {status.decode('ascii', 'replace')}: {error_words(bytes(body))}"
        answer = b"" if words else body
        if self._last:
            self._tell_last(words, answer)
        else:
            self._events.ended(self._lane, words, answer)

    def _broken(self, error: str) -> bool:
        """Fail the request under way, if any; what comes after such an answer can't be told from it."""
        if self._lane.busy:
            self._tell_last(error, b"")
        else:
            self.abandon(self._lane)
            self._events.lost(self._lane, error)
        return False

    def _tell_last(self, error: str, body: bytes | memoryview) -> None:
        """Tell of an answer after which the server closes: the next request goes over another connection."""
        lane = self._lane
        self.abandon(lane)
        lane.link = None  # nothing is sent into what is closed
        self._events.ended(lane, error, body)
        self._events.lost(lane, _CLOSED)


def _foreign(data: bytes) -> str:
    return f"not an HTTP answer: {error_words(data)}"


def closes(head: bytes) -> bool:
    """Tell whether the server closes the connection after the answer (RFC 9112, 9.3)."""
    return _CLOSE.search(head) is not None or (head.startswith(b"HTTP/1.0") and _KEEP.search(head) is None)


def error_words(body: bytes | bytearray) -> str:
    """Give the words of an error's JSON; of anything else its beginning."""
    try:
        return str(json.loads(body)["error"])[:200]
    except (ValueError, KeyError, TypeError, RecursionError):
        return body[:200].decode("utf-8", "replace")


async def connect(
    target: Target, events: Events, lane: Lane, make: Callable[[Events, Lane], HttpLink] = HttpLink
) -> None:
    """Give a lane a connection of its own. Raise OSError where there is none."""
    loop = asyncio.get_running_loop()
    tls, name = (target.tls.context(), target.tls.server_name or target.host) if target.tls else (None, None)
    _, link = await loop.create_connection(
        lambda: make(events, lane), target.host, target.port, ssl=tls, server_hostname=name
    )
    lane.link = link
