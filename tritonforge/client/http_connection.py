"""One kept-alive HTTP/1.1 connection: a request's bytes out, a response in, nothing past the deadline."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from tritonforge.client.deadline import Deadline
from tritonforge.client.message import Buffer

__all__ = ["Answer", "Connection", "Dropped", "Garbled"]

_JOIN_BELOW = 1 << 16  # up to here a copy costs less than another packet
_READ_SIZE = 1 << 16
_LARGEST_HEAD = 1 << 18


class Dropped(OSError):
    """The peer closed the connection before the first byte of its answer."""


class Garbled(Exception):
    """What came is not an HTTP response, or not a whole one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response. Names of headers are in lower case; `reusable`: the connection may take another request."""

    status: int
    headers: Mapping[str, str]
    body: Buffer
    reusable: bool


class Connection:
    """A connected socket. After any error it is of no more use: close it."""

    __slots__ = ("_arrivals", "_socket")

    def __init__(self, host: str, port: int, deadline: Deadline) -> None:
        """Connect to the first address of the host that answers. Raise OSError, or TimeoutError past the deadline."""
        self._socket = _connect(host, port, deadline)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._arrivals = select.poll()
        self._arrivals.register(self._socket, select.POLLIN)

    def is_quiet(self) -> bool:
        """Tell whether nothing has come since the last answer: neither the peer's close nor stray bytes."""
        return not self._arrivals.poll(0)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def exchange(self, parts: Iterable[Buffer], deadline: Deadline) -> Answer:
        """Send a request and read the answer.

        Raise Dropped, another OSError, Garbled, or TimeoutError.
        """
        refused: OSError | None = None
        try:
            self._send(parts, deadline)
        except (BrokenPipeError, ConnectionResetError) as error:
            refused = error  # a server that refuses a large body answers and closes before it has read all
        try:
            return self._receive(deadline)
        except Dropped as error:
            raise error from refused

    def _send(self, parts: Iterable[Buffer], deadline: Deadline) -> None:
        for packet in _packets(parts):
            self._socket.settimeout(deadline.left_s())
            self._socket.sendall(packet)

    def _read(self, deadline: Deadline) -> bytes:
        """Read some bytes; none where the peer has closed."""
        self._socket.settimeout(deadline.left_s())
        return self._socket.recv(_READ_SIZE)

    def _more(self, deadline: Deadline) -> bytes:
        data = self._read(deadline)
        if not data:
            raise Garbled("the connection was closed in the middle of the response")
        return data

    def _receive(self, deadline: Deadline) -> Answer:
        try:
            data = self._read(deadline)
        except ConnectionError as error:
            raise Dropped(str(error)) from error
        if not data:
            raise Dropped("the connection was closed before an answer")
        status, version, headers, data = self._head(data, deadline)
        while 100 <= status < 200:
            status, version, headers, data = self._head(data, deadline)
        body: Buffer
        kept = headers.get("connection", "").lower()
        reusable = "close" not in kept and (version == "1.1" or "keep-alive" in kept)
        if "chunked" in headers.get("transfer-encoding", "").lower():
            body, rest = self._chunks(data, deadline)
        elif "content-length" in headers:
            body, rest = self._exactly(data, _length(headers["content-length"], 10), deadline)
        elif status in (204, 304):
            body, rest = b"", data
        else:
            body, rest, reusable = self._until_close(data, deadline), b"", False
        return Answer(status, headers, body, reusable and not rest)

    def _head(self, data: bytes, deadline: Deadline) -> tuple[int, str, dict[str, str], bytes]:
        """Read the status, HTTP version and headers; give with them the bytes that came after."""
        while (end := data.find(b"\r\n\r\n")) < 0:
            if len(data) > _LARGEST_HEAD or b"HTTP/1."[: len(data)] != data[:7]:
                raise Garbled(_not_http(data))
            data += self._more(deadline)
        first, *lines = data[:end].decode("latin-1").split("\r\n")
        if not (first.startswith("HTTP/1.") and first[8:9] == " " and first[9:12].isdecimal()):
            raise Garbled(f"not an HTTP response: {first[:60]!r}")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return int(first[9:12]), first[5:8], headers, data[end + 4 :]

    def _exactly(self, data: bytes, size: int, deadline: Deadline) -> tuple[Buffer, bytes]:
        """Read `size` bytes, those in `data` first; give with them what came after."""
        if size <= len(data):
            return data[:size], data[size:]
        try:
            body = np.empty(size, np.uint8).data
        except (MemoryError, ValueError) as error:
            raise Garbled(f"a response of {size} bytes doesn't fit into memory") from error
        body[: len(data)] = data
        filled = len(data)
        while filled < size:
            self._socket.settimeout(deadline.left_s())
            came = self._socket.recv_into(body[filled:])
            if not came:
                raise Garbled(f"the connection was closed after {filled} of {size} bytes of the response")
            filled += came
        return body, b""

    def _chunks(self, data: bytes, deadline: Deadline) -> tuple[bytes, bytes]:
        """Read a chunked body and its trailer; give with it what came after."""
        chunks = []
        while True:
            line, data = self._line(data, deadline)
            size = _length(line.split(b";")[0].decode("latin-1"), 16)
            if not size:
                break
            chunk, data = self._exactly(data, size, deadline)
            chunks.append(bytes(chunk))
            _, data = self._line(data, deadline)
        while line:
            line, data = self._line(data, deadline)
        return b"".join(chunks), data

    def _line(self, data: bytes, deadline: Deadline) -> tuple[bytes, bytes]:
        while (end := data.find(b"\r\n")) < 0:
            if len(data) > _LARGEST_HEAD:
                raise Garbled("a chunk without a length")
            data += self._more(deadline)
        return data[:end], data[end + 2 :]

    def _until_close(self, data: bytes, deadline: Deadline) -> bytes:
        parts = [data]
        while part := self._read(deadline):
            parts.append(part)
        return b"".join(parts)


def _not_http(data: bytes) -> str:
    # An HTTP/2 server speaks first: a SETTINGS frame (type 4) of stream 0, RFC 9113, 6.5.
    if data[3:4] == b"\x04" and data[5:9] == bytes(4):
        return "this is a gRPC port, not an HTTP one; use the URL grpc://…, or the server's HTTP port (8000 by default)"
    return f"not an HTTP response: {data[:60]!r}"


def _packets(parts: Iterable[Buffer]) -> Iterator[Buffer]:
    """Join small parts, and leave large ones as they are."""
    small: list[Buffer] = []
    size = 0
    for part in parts:
        size += len(part)
        if size < _JOIN_BELOW:
            small.append(part)
            continue
        if small:
            yield b"".join(small)
        yield part
        small, size = [], 0
    if small:
        yield b"".join(small)


def _length(text: str, base: int) -> int:
    """Read a length; Python's int() would also take signs and underscores."""
    text = text.strip()
    if not text.isascii() or not text.isalnum():
        raise Garbled(f"a length of {text[:60]!r}")
    try:
        return int(text, base)
    except ValueError as error:
        raise Garbled(f"a length of {text[:60]!r}") from error


def _connect(host: str, port: int, deadline: Deadline) -> socket.socket:
    failure = OSError("the name has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(deadline.left_s())
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure
