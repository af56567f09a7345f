"""Event streams over HTTP/1.1: each event of an answer is told as it comes."""

from __future__ import annotations

import re

from tritonforge.load.links.chunks import Chunks
from tritonforge.load.links.http import NO_SIZE, HttpLink, closes, error_words
from tritonforge.load.links.lane import Events, Lane

__all__ = ["HttpStreamLink"]

_END = b"\r\n\r\n"
_EVENTS = re.compile(rb"\r\ncontent-type: *text/event-stream", re.IGNORECASE)
_BLANK = b"\n\n"
_ERROR = b'{"error":'


class HttpStreamLink(HttpLink):
    """One keep-alive connection, on which one request at a time is under way; answers may be event streams."""

    def __init__(self, events: Events, lane: Lane) -> None:
        super().__init__(events, lane)
        self._stream: Chunks | None = None
        self._text = bytearray()
        self._status = ""
        self._error = ""

    def data_received(self, data: bytes) -> None:
        """Take bytes; tell of each event that is whole, and of the stream's end."""
        if self._stream is None:
            if self._wanted >= 0:  # the rest of an answer that is no stream
                super().data_received(data)
                return
            data, self._buffer = bytes(self._buffer) + data, b""
            end = data.find(_END)
            if end < 0 or not _EVENTS.search(data, 0, end + 2):  # a refusal is an answer like any other
                super().data_received(data)
                return
            self._stream, self._text, self._error = Chunks(), bytearray(), ""
            self._status, self._last = data[9:12].decode("ascii", "replace"), closes(data[: end + 4])
            data = data[end + 4 :]
        try:
            body = self._stream.feed(data)
        except ValueError:
            self._broken(NO_SIZE)
            return
        for event in self._whole(body):
            self._told(event)
        if self._stream.ended:
            self._stream = None
            if self._last:
                self._tell_last(self._error or self._unlike_200(), b"")
            else:
                self._events.ended(self._lane, self._error or self._unlike_200(), b"")

    def _whole(self, body: bytes) -> list[bytearray]:
        """Give the events that are whole with what came now, the only part of the text that is searched."""
        text, searched = self._text, max(len(self._text) - 1, 0)
        text += body
        if text.find(_BLANK, searched) < 0:
            return []
        *whole, self._text = text.split(_BLANK)
        return whole

    def _told(self, event: bytearray) -> None:
        content = event.removeprefix(b"data:").lstrip()
        if content.startswith(_ERROR):
            self._error = f"{self._kind()}: {error_words(content)}"
        elif content:
            self._events.responded(self._lane)

    def _kind(self) -> str:
        return "stream" if self._status == "200" else f"HTTP {self._status}"

    def _unlike_200(self) -> str:
        return "" if self._status == "200" else f"HTTP {self._status}: a stream without words"
