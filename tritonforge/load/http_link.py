"""HTTP/1.1 on asyncio: prepared bytes out, the least reading of what comes back."""

from __future__ import annotations

import asyncio
import json
import re
from typing import cast

from tritonforge.load.job import Target
from tritonforge.load.lane import Events, Lane

__all__ = ["HttpLink", "connect"]

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_END = b"\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"


class HttpLink(asyncio.Protocol):
    """One keep-alive connection, on which one request at a time is under way."""

    def __init__(self, events: Events, lane: Lane) -> None:
        self._events = events
        self._lane = lane
        self._buffer = b""
        self._head = b""
        self._wanted = -1
        self._transport: asyncio.Transport | None = None
        self._abandoned = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready to send."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    def send(self, lane: Lane, data: bytes) -> None:
        """Write a whole request."""
        assert self._transport is not None
        self._transport.write(data)

    def abandon(self, lane: Lane) -> None:
        """Close: an answer that is no longer waited for would be taken for the next one."""
        self._abandoned = True
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take bytes; tell of the response once it is whole."""
        if self._buffer:
            data = self._buffer + data
        if self._wanted < 0:
            end = data.find(_END)
            if end < 0:
                self._buffer = data
                return
            if not self._measure(data, end + 4):
                return
        if len(data) < self._wanted:
            self._buffer = data
            return
        self._finish(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell of it, unless it was given up here."""
        if not self._abandoned:
            self._events.lost(self._lane, str(exc) if exc else "the server closed the connection")

    def _measure(self, data: bytes, start: int) -> bool:
        # Triton's headers are the same for the same model and size: they are read once.
        head = data[:start]
        if head != self._head:
            found = _LENGTH.search(head)
            if found is None:
                if not data.endswith(_LAST_CHUNK):
                    self._buffer = data
                    return False
                self._length = len(data) - start
            else:
                self._length = int(found[1])
                self._head = head
            self._ok = head[9:12] == b"200"
        self._body = start
        self._wanted = start + self._length
        return True

    def _finish(self, data: bytes) -> None:
        self._wanted, self._buffer = -1, b""
        if self._ok:
            self._events.ended(self._lane, "", memoryview(data)[self._body :])
        else:
            status = data[9:12].decode("ascii", "replace")
            self._events.ended(self._lane, f"HTTP {status}: {_words(data[self._body :])}", b"")


def _words(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])[:200]
    except (ValueError, KeyError, TypeError):
        return body[:200].decode("utf-8", "replace")


async def connect(target: Target, events: Events, lane: Lane) -> None:
    """Give a lane a connection of its own. Raise OSError where there is none."""
    loop = asyncio.get_running_loop()
    _, link = await loop.create_connection(
        lambda: HttpLink(events, lane), target.host, target.port, ssl=target.tls or None
    )
    lane.link = link
