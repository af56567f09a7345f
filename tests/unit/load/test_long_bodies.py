"""Bodies of many pieces: none of their bytes is copied again with each piece that follows."""

from __future__ import annotations

import asyncio
import struct
from typing import Any, ClassVar, SupportsIndex, cast

import numpy as np
import pytest

from tritonforge.load.links.chunks import Chunks
from tritonforge.load.links.grpc import GrpcLink
from tritonforge.load.links.http import HttpLink
from tritonforge.load.links.http_stream import HttpStreamLink
from tritonforge.load.links.lane import Lane
from tritonforge.load.workers.job import Payload, Target

MIB = 1 << 20
PIECE = 4096
BODY = bytes(range(256)) * (4 * MIB // 256)
EVENT = b"data: " + b"x" * (4 * MIB) + b"\n\n"
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
STREAM = b"Content-Type: text/event-stream\r\n"


class Counted(bytes):
    """Bytes that count how many are copied where they are put behind others, and where they are cut."""

    copied: ClassVar[int] = 0

    def __radd__(self, before: Any) -> Any:
        if isinstance(before, bytearray):  # `+=`, which grows in place
            Counted.copied += len(self)
            before += bytes(self)
            return before
        Counted.copied += len(before)
        return Counted(bytes(before) + bytes(self))

    def __getitem__(self, key: SupportsIndex | slice) -> Any:
        part = super().__getitem__(key)
        if isinstance(part, int):
            return part
        Counted.copied += len(part)
        return Counted(part)


class Heard:
    """The events and the transport of a link: what is told and written."""

    def __init__(self) -> None:
        self.told: list[tuple[str, bytes]] = []
        self.responses = 0
        self.written: list[bytes] = []

    def responded(self, lane: Lane) -> None:
        self.responses += 1

    def ended(self, lane: Lane, error: str, body: bytes | bytearray | memoryview) -> None:
        self.told.append((error, bytes(body)))

    def lost(self, lane: Lane, reason: str) -> None:
        pass

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return False


def chunked(body: bytes) -> bytes:
    parts = [body[start : start + 10_000] for start in range(0, len(body), 10_000)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (*parts, b""))


def feed(link: Any, data: bytes) -> int:
    """Give a link data in pieces; give how many bytes were copied for each of them."""
    Counted.copied = 0
    for start in range(0, len(data), PIECE):
        link.data_received(Counted(data[start : start + PIECE]))
    return Counted.copied // len(data)


@pytest.mark.parametrize("kind", [HttpLink, HttpStreamLink])
@pytest.mark.parametrize(
    "whole",
    [OK + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY, OK + CHUNKED + chunked(BODY), OK + b"\r\n" + BODY],
    ids=["length", "chunks", "unended"],
)
def test_a_long_answer_is_read_in_linear_time(kind: type[HttpLink], whole: bytes) -> None:
    heard, lane = Heard(), Lane()
    lane.busy = True
    link = kind(heard, lane)
    assert feed(link, whole) < 5
    link.connection_lost(None)
    assert heard.told == [("", BODY)]
    assert heard.told[0][1] == BODY


def test_a_long_event_is_read_in_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class CountedChunks(Chunks):
        def feed(self, data: bytes) -> bytes:
            return Counted(super().feed(data))

    monkeypatch.setattr("tritonforge.load.links.http_stream.Chunks", CountedChunks)
    heard, lane = Heard(), Lane()
    assert feed(HttpStreamLink(heard, lane), OK + STREAM + CHUNKED + chunked(EVENT + EVENT)) < 5
    assert (heard.responses, heard.told) == (2, [("", b"")])


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def connected(heard: Heard, lane: Lane, *settings: tuple[int, int]) -> GrpcLink:
    link = GrpcLink(Target("127.0.0.1", 1, method="/s/m"), heard, [lane])
    link.connection_made(cast(asyncio.Transport, heard))
    link.data_received(frame(4, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in settings)))
    heard.written.clear()
    return link


@pytest.mark.parametrize("size", [16384, 4 * MIB])
def test_a_long_message_is_read_in_linear_time(size: int) -> None:
    async def read() -> None:
        heard, lane = Heard(), Lane()
        lane.payload = Payload(b"question", expected={"y": np.zeros(1)})
        link = connected(heard, lane)
        link.send(lane, lane.payload.data)
        message = b"\0" + struct.pack(">I", len(BODY)) + BODY
        frames = [frame(0, 0, 1, message[start : start + size]) for start in range(0, len(message), size)]
        status = b"\x10\x0bgrpc-status\x010"
        assert feed(link, b"".join([frame(1, 4, 1, b"\x88"), *frames, frame(1, 5, 1, status)])) < 10
        assert heard.told == [("", BODY)]

    asyncio.run(read())


def test_a_long_message_is_sent_in_linear_time() -> None:
    async def read() -> None:
        heard, lane = Heard(), Lane()
        lane.payload = Payload(b"")
        link = connected(heard, lane, (4, 1 << 30))
        link.data_received(frame(8, 0, 0, struct.pack(">I", 1 << 30)))
        Counted.copied = 0
        link.send(lane, Counted(BODY))
        assert Counted.copied < 5 * len(BODY)
        assert sum(map(len, heard.written)) > len(BODY)

    asyncio.run(read())
