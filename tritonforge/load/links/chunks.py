"""A body in chunks, of HTTP/1.1."""

from __future__ import annotations

__all__ = ["Chunks"]

_END = b"\r\n\r\n"
_LONGEST = 65536
"""So many bytes may a chunk's size and extensions have, and so many the trailers."""


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
                if size < 0:
                    raise ValueError(f"a chunk of {size} bytes")
                if not size:
                    # Nothing follows, or trailers, and an empty line.
                    self.ended = data.endswith(_END) or data[end + 2 : end + 4] == b"\r\n"
                    break
                start, self._left = end + 2, size + 2
        self._rest = data[start:]
        if len(self._rest) > _LONGEST:
            raise ValueError("a line without an end")
        return b"".join(parts)
