"""HTTP/2 frames, taken as a server may send them: in pieces, interleaved, refused, reset, held back by windows."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from itertools import pairwise
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonforge.load.links.grpc import GrpcLink
from tritonforge.load.links.lane import Lane
from tritonforge.load.workers.job import Payload, Target

DATA, HEADERS, RST, SETTINGS, PING, WINDOW = 0, 1, 3, 4, 6, 8
TARGET = Target("127.0.0.1", 1, method="/inference.GRPCInferenceService/ModelInfer")
PLAIN = Payload(b"question")
CHECKED = Payload(b"question", expected={"y": np.zeros(1)})
STREAM = Payload(b"question", stream=True)


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def field(name: bytes, value: bytes) -> bytes:
    return b"\x10" + bytes((len(name),)) + name + bytes((len(value),)) + value


def message(data: bytes) -> bytes:
    return b"\0" + struct.pack(">I", len(data)) + data


OK = field(b"grpc-status", b"0")
FULL = field(b"grpc-status", b"14") + field(b"grpc-message", b"queue%20full")


def answer(stream: int, *data: bytes, trailers: bytes = OK) -> list[bytes]:
    head = [frame(HEADERS, 4, stream, b"\x88" + field(b"content-type", b"application/grpc"))]
    return [*head, *(frame(DATA, 0, stream, piece) for piece in data), frame(HEADERS, 5, stream, trailers)]


def data_frames(writes: list[bytes]) -> list[tuple[bool, int]]:
    """List the frames of data among what was written: whether each ends its stream, and its size."""
    data, position, found = b"".join(writes), 0, []
    while position < len(data):
        size = int.from_bytes(data[position : position + 3], "big")
        if data[position + 3] == DATA:
            found.append((bool(data[position + 4] & 1), size))
        position += 9 + size
    return found


class Wire:
    """The transport and the events of a link: what was written, and what was told."""

    def __init__(self, lanes: int, payload: Payload = PLAIN) -> None:
        self.writes: list[bytes] = []
        self.told: list[tuple[int, str, bytes]] = []
        self.responses = 0
        self.gone: list[int] = []
        self.reasons: list[str] = []
        self.closed = False
        self.again: Callable[[Lane], None] = lambda lane: None
        self.lanes = [Lane() for _ in range(lanes)]
        self.link = GrpcLink(TARGET, self, self.lanes)
        self.link.connection_made(cast(asyncio.Transport, self))
        self.link.data_received(frame(SETTINGS, 0, 0, b""))
        for lane in self.lanes:
            lane.payload = payload
            self.link.send(lane, payload.data)
        self.writes.clear()

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return False

    def responded(self, lane: Lane) -> None:
        self.responses += 1

    def ended(self, lane: Lane, error: str, body: bytes | bytearray | memoryview) -> None:
        self.told.append((self.lanes.index(lane), error, bytes(body)))
        self.again(lane)

    def lost(self, lane: Lane, reason: str) -> None:
        self.gone.append(self.lanes.index(lane))
        self.reasons.append(reason)


@pytest.mark.parametrize("payload", [PLAIN, CHECKED])
def test_what_follows_goes_out_together_but_behind_no_check(payload: Payload) -> None:
    """Each answer is told once the request that follows the one before is written, where telling it takes a while."""

    async def read() -> None:
        wire, written = Wire(3, payload), []

        def again(lane: Lane) -> None:
            written.append(len(data_frames(wire.writes)))
            wire.link.send(lane, payload.data)

        wire.again = again
        wire.link.data_received(b"".join(b"".join(answer(stream, message(b"a"))) for stream in (1, 3, 5)))
        assert written == ([0, 1, 2] if payload is CHECKED else [0, 0, 0])
        assert data_frames(wire.writes) == [(True, 5 + len(payload.data))] * 3

    asyncio.run(read())


@given(st.permutations([1, 3, 5]), st.lists(st.integers(0, 1000), max_size=8), st.sampled_from([PLAIN, CHECKED]))
def test_answers_are_read_however_their_frames_come(order: list[int], cuts: list[int], payload: Payload) -> None:
    async def read() -> None:
        wire = Wire(3, payload)
        frames = [answer(stream, message(b"answer")[:7], message(b"answer")[7:]) for stream in order]
        whole = b"".join(part for parts in zip(*frames, strict=True) for part in parts)
        places = sorted({0, len(whole), *(cut % len(whole) for cut in cuts)})
        for start, end in pairwise(places):
            wire.link.data_received(whole[start:end])
        body = b"answer" if payload is CHECKED else b""
        assert wire.told == [((stream - 1) // 2, "", body) for stream in order]

    asyncio.run(read())


@pytest.mark.parametrize("payload", [PLAIN, CHECKED, STREAM])
def test_a_refusal_and_a_reset_are_told_with_their_words(payload: Payload) -> None:
    async def read() -> None:
        wire = Wire(3, payload)
        refused = [frame(HEADERS, 5, 1, b"\x88" + FULL), *answer(3, trailers=FULL)]
        wire.link.data_received(b"".join([*refused, frame(RST, 0, 5, struct.pack(">I", 8))]))
        assert [(lane, error) for lane, error, _ in wire.told] == [
            (0, "gRPC 14: queue full"),
            (1, "gRPC 14: queue full"),
            (2, "HTTP/2 reset: code 8"),
        ]

    asyncio.run(read())


def test_what_follows_answers_that_came_together_goes_out_in_one_write() -> None:
    async def read() -> None:
        wire = Wire(3)
        wire.again = lambda lane: wire.link.send(lane, b"next")
        wire.link.data_received(b"".join(part for stream in (1, 3, 5) for part in answer(stream, message(b"x"))))
        assert len(wire.told) == 3
        (written,) = wire.writes
        assert written.count(b"next") == 3

    asyncio.run(read())


def test_responses_of_a_stream_are_told_one_by_one() -> None:
    async def read() -> None:
        wire = Wire(1, STREAM)
        data = message(b"\x12\x00") + message(b"\x12\x00") + message(b"\x0a\x04full")
        wire.link.data_received(b"".join(answer(1, data[:9], data[9:])))
        assert wire.responses == 2
        assert [(lane, error) for lane, error, _ in wire.told] == [(0, "stream: full")]

    asyncio.run(read())


def test_an_abandoned_call_is_reset_and_heard_of_no_more() -> None:
    async def read() -> None:
        wire = Wire(2)
        wire.link.abandon(wire.lanes[0])
        assert wire.writes == [frame(RST, 0, 1, struct.pack(">I", 8))]
        wire.link.data_received(b"".join(answer(1, message(b"late")) + answer(3, message(b"x"))))
        assert wire.told == [(1, "", b"")]
        wire.link.abandon(wire.lanes[1])
        assert len(wire.writes) == 1

    asyncio.run(read())


def test_a_large_message_waits_for_windows() -> None:
    async def read() -> None:
        wire = Wire(1)
        wire.link.data_received(b"".join(answer(1)))
        wire.link.send(wire.lanes[0], bytes(100_000))
        question = len(message(wire.lanes[0].payload.data if wire.lanes[0].payload else b""))
        assert sum(size for _, size in data_frames(wire.writes)) == 65535 - question
        assert not any(ends for ends, _ in data_frames(wire.writes))
        for stream in (0, 3):
            wire.link.data_received(frame(WINDOW, 0, stream, struct.pack(">I", 50_000)))
        sent = data_frames(wire.writes)
        assert sum(size for _, size in sent) == 100_005
        assert [ends for ends, _ in sent] == [False] * (len(sent) - 1) + [True]
        assert max(size for _, size in sent) <= 16384

    asyncio.run(read())


def test_a_ping_is_answered() -> None:
    async def read() -> None:
        wire = Wire(1)
        wire.link.data_received(frame(PING, 0, 0, b"12345678"))
        assert wire.writes == [frame(PING, 1, 0, b"12345678")]

    asyncio.run(read())


def test_trailers_that_differ_each_time_are_not_all_remembered() -> None:
    async def read() -> None:
        wire = Wire(1)
        wire.again = lambda lane: wire.link.send(lane, b"next")
        for number in range(1000):
            trailers = OK + field(b"took", b"%d" % number)
            wire.link.data_received(b"".join(answer(2 * number + 1, message(b"x"), trailers=trailers)))
        assert wire.told == [(0, "", b"")] * 1000
        assert len(wire.link._statuses) < 100

    asyncio.run(read())


def test_a_lane_that_went_to_another_connection_hears_no_more_of_the_old_one() -> None:
    """Its request was given up there; the one that is under way elsewhere goes on."""

    async def read() -> None:
        wire, other = Wire(3), Wire(0)
        wire.lanes[0].link, wire.lanes[2].link = wire.link, other.link
        wire.link.connection_lost(None)
        assert wire.gone == [0]

    asyncio.run(read())


@given(st.binary(max_size=200), st.integers(0, 12), st.sampled_from([0, 1, 4, 5, 8, 9, 13, 32, 37]), st.integers(0, 6))
def test_no_frame_is_a_fault(payload: bytes, kind: int, flags: int, stream: int) -> None:
    """Not even one that its kind can't have, nor the next behind it."""

    async def read() -> None:
        for kept in (PLAIN, CHECKED, STREAM):
            wire = Wire(3, kept)
            wire.link.data_received(frame(kind, flags, stream, payload) + frame(9, 4, 3, payload))

    asyncio.run(read())


def test_trailers_that_cannot_be_read_fail_their_call_alone() -> None:
    async def read() -> None:
        wire = Wire(2)
        wire.link.data_received(b"".join([*answer(1, trailers=b"\x10\x0bgrpc"), *answer(3)]))
        assert wire.told == [(0, "malformed answer: a header block breaks off", b""), (1, "", b"")]

    asyncio.run(read())


@pytest.mark.parametrize("foreign", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 9], ids=["http", "length"])
def test_what_is_no_http_2_is_told_at_once(foreign: bytes) -> None:
    async def read() -> None:
        wire = Wire(2)
        for lane in wire.lanes:
            lane.link = wire.link
        wire.link.data_received(foreign)
        assert wire.closed
        wire.link.connection_lost(None)
        size = int.from_bytes(foreign[:3], "big")
        assert wire.reasons == [f"not HTTP/2: a frame of {size} bytes"] * 2

    asyncio.run(read())
