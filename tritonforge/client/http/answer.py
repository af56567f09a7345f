"""HTTP/1.1 responses, read from whatever fills the buffers: a parser without I/O, for sockets and event loops alike.

`read_answer` is a generator. It yields the memory to receive into, and is sent how many bytes came (0: the peer has
closed). A body of known length is received right where it stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from tritonforge.client.message import Buffer
from tritonforge.client.unreadable import quoted

__all__ = [
    "Answer",
    "Dropped",
    "Garbled",
    "Leaving",
    "NeverSent",
    "NoneFree",
    "Reading",
    "Take",
    "Unreached",
    "Unsent",
    "aligned_memory",
    "not_http",
    "read_answer",
    "read_at_once",
    "scratch_memory",
]

_LENGTH = re.compile(r"0|[1-9][0-9]{0,17}")
_SCRATCH_SIZE = 1 << 16
_LARGEST_HEAD = 1 << 18
_ALIGNMENT = 64


class Dropped(OSError):
    """The peer closed the connection before the first byte of its answer."""


class Unsent(OSError):
    """The peer has done nothing with the request, and never will: to send it again is safe, whatever it does."""


class Leaving(Unsent):
    """The peer is closing the connection, and has not taken the request."""


class Unreached(Unsent):
    """No connection was made in the share of the time that there is for it: another server may answer."""


class NeverSent(TimeoutError):
    """The time was up before anything of the request was sent. Its words are what was waited for."""


class NoneFree(NeverSent):
    """The time was up before one of the connections was free."""

    def __init__(self, most: int) -> None:
        super().__init__(f"no free connection (max_connections={most}: all in use)")


class Garbled(Exception):
    """What came is not an HTTP response, or not a whole one."""


class Answer(NamedTuple):
    """An HTTP response. Names of headers are in lower case; `reusable`: the connection may take another request.

    `head` is all before the body, of one that came whole.
    """

    status: int
    headers: Mapping[str, str]
    body: Buffer
    reusable: bool
    head: bytes = b""


Reading = Generator[memoryview, int, Answer]
"""A response being read: yields memory to fill, takes the number of bytes that came."""

Take = Callable[[bytes], object]

_Step = Generator[memoryview, int, bytes]


def scratch_memory() -> memoryview:
    """Make what a connection receives into where nothing better is known."""
    return memoryview(bytearray(_SCRATCH_SIZE))


def read_at_once(data: bytes) -> Answer | None:
    """Read a response that has come whole, its body of known length; None for any other, which `read_answer` reads."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    status, headers, reusable, size = _parse_head(data[:end])
    body = data[end + 4 :]
    return Answer(status, headers, body, reusable, data[: end + 4]) if len(body) == size else None


def read_answer(scratch: memoryview, take: Take | None = None) -> Reading:
    """Read one response. Raise Dropped where the peer closes before it, Garbled where it isn't one, ValueError for one
    with a head past all bounds.

    `take` is given each chunk of a successful answer as it comes, in place of the body.
    """
    count = yield scratch
    if not count:
        raise Dropped("the connection was closed before an answer")
    data = bytes(scratch[:count])
    status = 100
    while 100 <= status < 200:
        while (end := data.find(b"\r\n\r\n")) < 0:
            if b"HTTP/1."[: len(data)] != data[:7]:
                raise Garbled(not_http(data))
            _require_fits(len(data))
            data += yield from _more(scratch)
        _require_fits(end)  # whichever way the bytes came
        status, headers, reusable, _ = _parse_head(data[:end])
        data = data[end + 4 :]
    body: Buffer
    length = headers.get("content-length")
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body, rest = yield from _chunks(data, scratch, take if status == 200 else None)
    elif length is not None:
        size = _length("Content-Length", length, 10)
        if size <= len(data):
            body, rest = data[:size], data[size:]
        else:
            body, rest = (yield from _large(data, size, headers.get("inference-header-content-length", ""))), b""
    elif status in (204, 304):
        body, rest = b"", data
    else:
        body, rest, reusable = (yield from _until_close(data, scratch)), b"", False
    return Answer(status, headers, body, reusable and not rest)


@lru_cache(maxsize=256)  # answers of one model and shape have the same head
def _parse_head(head: bytes) -> tuple[int, Mapping[str, str], bool, int]:
    """Read a head: the status, the headers, whether the connection is kept, and how many bytes make the body whole.

    -1 where it takes more than their number: that is for `read_answer`.
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    if not (first.startswith("HTTP/1.") and first[8:9] == " " and first[9:12].isdecimal()):
        raise Garbled(f"not an HTTP response: {first[:60]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip()
        if name == "content-length" and headers.get(name, value) != value:  # RFC 9112, 6.3
            raise Garbled(f"not an HTTP response: its Content-Length is {headers[name]!r}, and {value!r}")
        headers[name] = value
    kept = headers.get("connection", "").lower()
    reusable = "close" not in kept and (first[7:8] == "1" or "keep-alive" in kept)
    status, length = int(first[9:12]), headers.get("content-length", "")
    plain = status >= 200 and "transfer-encoding" not in headers and _LENGTH.fullmatch(length)
    return status, MappingProxyType(headers), reusable, int(length) if plain else -1


def _require_fits(size: int) -> None:
    if size > _LARGEST_HEAD:
        raise ValueError(f"its head takes more than {_LARGEST_HEAD >> 10} KB")


def _more(scratch: memoryview) -> _Step:
    count = yield scratch
    if not count:
        raise Garbled("the connection was closed in the middle of the response")
    return bytes(scratch[:count])


def _large(data: bytes, size: int, header_size: str) -> Generator[memoryview, int, memoryview]:
    """Receive the rest of a body into memory of its own, of which `data` is the start.

    The first tensor, which follows a JSON header of `header_size` bytes, is aligned: it needs no copy.
    """
    body = aligned_memory(size, int(header_size) if header_size.isdecimal() else 0)
    filled = len(data)
    body[:filled] = data
    while filled < size:
        count = yield body[filled:]
        if not count:
            raise Garbled(f"the connection was closed after {filled} of {size} bytes of the response")
        filled += count
    return body


def aligned_memory(size: int, at: int) -> memoryview:
    """Make memory of so many bytes, aligned at one of them. Raise Garbled where there is no room for it."""
    shift = -at % _ALIGNMENT
    try:
        memory = np.empty(size + shift + _ALIGNMENT, np.uint8)
    except (MemoryError, ValueError) as error:
        raise Garbled(f"a response of {size} bytes doesn't fit into memory") from error
    start = shift + (-memory.ctypes.data) % _ALIGNMENT
    body: memoryview = memory.data[start : start + size]
    return body


def _chunks(data: bytes, scratch: memoryview, take: Take | None) -> Generator[memoryview, int, tuple[bytes, bytes]]:
    """Read a chunked body and its trailer; give with it what came after."""
    chunks: list[bytes] = []
    keep = take or chunks.append
    while True:
        line, data = yield from _line(data, scratch)
        size = _length("a chunk's length", line.split(b";")[0].decode("latin-1"), 16)
        if not size:
            break
        if size <= len(data):
            keep(data[:size])
            data = data[size:]
        else:
            chunk = yield from _large(data, size, "")
            keep(bytes(chunk))
            data = b""
        _, data = yield from _line(data, scratch)
    while line:
        line, data = yield from _line(data, scratch)
    return b"".join(chunks), data


def _line(data: bytes, scratch: memoryview) -> Generator[memoryview, int, tuple[bytes, bytes]]:
    while (end := data.find(b"\r\n")) < 0:
        if len(data) > _LARGEST_HEAD:
            raise Garbled("a chunk without a length")
        data += yield from _more(scratch)
    return data[:end], data[end + 2 :]


def _until_close(data: bytes, scratch: memoryview) -> _Step:
    parts = [data]
    while count := (yield scratch):
        parts.append(bytes(scratch[:count]))
    return b"".join(parts)


def not_http(data: bytes) -> str:
    """Say of bytes that they are no HTTP response, and what they may be."""
    # An HTTP/2 server speaks first: a SETTINGS frame (type 4) of stream 0, RFC 9113, 6.5.
    if data[3:4] == b"\x04" and data[5:9] == bytes(4):
        return "this is a gRPC port, not an HTTP one; use the URL grpc://…, or the server's HTTP port (8000 by default)"
    # What TLS says to a request in plain text: an alert, RFC 8446, 5.1 and 6.
    if data[:2] == b"\x15\x03":
        return "this is a port of TLS: use https://…"
    return f"not an HTTP response: {quoted(data, 60)}"


def _length(of: str, text: str, base: int) -> int:
    """Read a length; Python's int() would also take signs and underscores."""
    text = text.strip()
    try:
        if text.isascii() and text.isalnum():
            return int(text, base)
    except ValueError:
        pass
    raise Garbled(f"not an HTTP response: {of} is {text[:60]!r}")
