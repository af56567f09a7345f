"""Event streams over HTTP/1.1: each event of an answer is told as it comes."""

from __future__ import annotations

import re

from tritonforge.load.http_link import NO_SIZE, HttpLink, closes, error_words
from tritonforge.load.lane import Events, Lane

__all__ = ["Chunks", "HttpStreamLink"]

_END = b"\r\n\r\n"
_EVENTS = re.compile(rb"\r\ncontent-type: *text/event-stream", re.IGNORECASE)
_ERROR = b'{"error":'


class HttpStreamLink(HttpLink):
    """One keep-alive connection, on which one request at a time is under way; answers may be event streams."""

    def __init__(self, events: Events, lane: Lane) -> None:
        super().__init__(events, lane)
        self._chunks: Chunks | None = None
        self._text = b""
        self._status = ""
        self._error = ""

    def data_received(self, data: bytes) -> None:
        """Take bytes; tell of each event that is whole, and of the stream's end."""
        if self._chunks is None:
            data, self._buffer = self._buffer + data, b""
            end = data.find(_END)
            if end < 0 or not _EVENTS.search(data, 0, end + 2):  # a refusal is an answer like any other
                super().data_received(data)
                return
            self._chunks, self._text, self._error = Chunks(), b"", ""
            self._status, self._last = data[9:12].decode("ascii", "replace"), closes(data[: end + 4])
            data = data[end + 4 :]
        try:
            body = self._chunks.feed(data)
        except ValueError:
            self._broken(NO_SIZE)
            return
        *whole, self._text = (self._text + body).split(b"\n\n")
        for event in whole:
            self._told(event)
        if self._chunks.ended:
            self._chunks = None
            if self._last:
                self._tell_last(self._error or self._unlike_200(), b"")
            else:
                self._events.ended(self._lane, self._error or self._unlike_200(), b"")

    def _told(self, event: bytes) -> None:
        content = event.removeprefix(b"data:").lstrip()
        if content.startswith(_ERROR):
            self._error = f"{self._kind()}: {error_words(content)}"
        elif content:
            self._events.responded(self._lane)

    def _kind(self) -> str:
        return "stream" if self._status == "200" else f"HTTP {self._status}"

    def _unlike_200(self) -> str:
        return "" if self._status == "200" else f"HTTP {self._status}: a stream without words"


class Chunks:
    """A body in chunks, piece by piece (RFC 9112, 7.1). `ended` once its last has come, trailers included."""

    def __init__(self) -> None:
        self.ended = False
        self._rest = b""
        self._left = 0

    def feed(self, data: bytes) -> bytes:
        """Give what the body has so far beyond what was given before. Raise ValueError where these are no chunks."""
        data, parts, start = self._rest + data, [], 0
        while start < len(data):
            if self._left > 2:
                part = data[start : start + self._left - 2]
                parts.append(part)
                start, self._left = start + len(part), self._left - len(part)
            elif self._left:  # the line's end behind a chunk
                skipped = min(self._left, len(data) - start)
                start, self._left = start + skipped, self._left - skipped
            else:
                end = data.find(b"\r\n", start)
                if end < 0:
                    break
                size = int(data[start:end].partition(b";")[0], 16)
                if not size:
                    # Nothing follows, or trailers, and an empty line.
                    self.ended = data.endswith(_END) or data[end + 2 : end + 4] == b"\r\n"
                    break
                start, self._left = end + 2, size + 2
        self._rest = data[start:]
        return b"".join(parts)
