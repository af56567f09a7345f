"""Large messages over connections of our own: within the peer's windows, and received right where they stay."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonforge.client.deadline import Deadline
from tritonforge.client.grpc.answer import GrpcAnswer
from tritonforge.client.grpc.frames import GrpcFrames
from tritonforge.client.grpc.unary import AsyncUnaryCalls, CallFailed, UnaryCalls
from tritonforge.client.grpc.wire import parse_response
from tritonforge.client.http.answer import Dropped, Garbled
from tritonforge.client.message import Request, Tensor
from tritonforge.client.options import ConnectionOptions
from tritonforge.client.url import Endpoint

from .fault_server import FaultServer, Peer
from .http2_frames import (
    BEGINNING,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    RST,
    SETTINGS,
    WINDOW,
    frame,
    trailers,
    whole,
)

OPTIONS = ConnectionOptions()
MESSAGE = np.random.default_rng(0).bytes(300_000)
HELLO = frame(SETTINGS, 0, 0, b"")
FIRST_WINDOW = 65535


def setting(name: int, value: int) -> bytes:
    return frame(SETTINGS, 0, 0, struct.pack(">HI", name, value))


def window(stream: int, more: int) -> bytes:
    return frame(WINDOW, 0, stream, more.to_bytes(4, "big"))


def split(data: bytes) -> tuple[list[tuple[int, int, int, bytes]], bytes]:
    """Read whole frames: kind, flags, stream, payload; and what is left."""
    frames = []
    while len(data) >= 9 and len(data) >= 9 + (size := int.from_bytes(data[:3], "big")):
        frames.append((data[3], data[4], int.from_bytes(data[5:9], "big"), data[9 : 9 + size]))
        data = data[9 + size :]
    return frames, data


def coming(peer: Peer) -> Iterator[tuple[int, int, int, bytes]]:
    """Read a client's frames as they come."""
    data = b""
    while came := peer._connection.recv(1 << 16):
        data += came
        found, data = split(data.removeprefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
        yield from found


def large(stream: int, body: bytes, size: int = 1 << 14) -> bytes:
    """Write an answer in frames of data of so many bytes."""
    message = struct.pack(">BI", 0, len(body)) + body
    cuts = [message[start : start + size] for start in range(0, len(message), size)]
    return (
        frame(HEADERS, END_HEADERS, stream, BEGINNING)
        + b"".join(frame(DATA, 0, stream, cut) for cut in cuts)
        + frame(HEADERS, END_HEADERS | END_STREAM, stream, trailers())
    )


def ask(port: int, *messages: bytes, timeout_s: float = 10.0) -> list[bytes]:
    unary = UnaryCalls("/s/m", Endpoint("grpc", "127.0.0.1", port), OPTIONS)
    try:
        return [bytes(unary.call([message], None, Deadline(timeout_s)) or b"") for message in messages]
    finally:
        unary.close()


def ask_in_a_loop(port: int, *messages: bytes, timeout_s: float = 10.0) -> list[bytes]:
    async def main() -> list[bytes]:
        unary = AsyncUnaryCalls("/s/m", Endpoint("grpc", "127.0.0.1", port), OPTIONS)
        try:
            return [bytes(await unary.call([message], None, Deadline(timeout_s)) or b"") for message in messages]
        finally:
            unary.close()
            await asyncio.sleep(0)

    return asyncio.run(main())


both = pytest.mark.parametrize("ask", [ask, ask_in_a_loop])


@given(
    parts=st.lists(st.binary(max_size=2000).map(lambda data: data * 40), max_size=6),
    grants=st.lists(
        st.tuples(
            st.sampled_from(["connection", "call", "setting", "frame size"]),
            st.integers(min_value=1, max_value=120_000),
        ),
        max_size=40,
    ),
    most=st.integers(min_value=1, max_value=100_000),
)
def test_a_message_goes_out_whole_and_never_past_the_windows(parts, grants, most):
    frames = GrpcFrames()
    message = struct.pack(">BI", 0, sum(map(len, parts))) + b"".join(parts)
    stream, _ = frames.begin(b"", parts, sum(map(len, parts)), 1.0)
    room, call_room, first_window, frame_size = FIRST_WINDOW, FIRST_WINDOW, FIRST_WINDOW, 1 << 14
    sent = b""
    enough = [("connection", len(message)), ("call", len(message))]
    for kind, amount in [("", 0), *grants, *enough]:
        if kind == "connection":
            frames.take(window(0, amount))
            room += amount
        elif kind == "call":
            frames.take(window(stream, amount))
            call_room += amount
        elif kind == "setting":
            frames.take(setting(4, amount))
            call_room += amount - first_window
            first_window = amount
        elif kind:
            frame_size = max(amount, 1 << 14)
            frames.take(setting(5, frame_size))
        while pieces := frames.more(stream, most):
            found, rest = split(b"".join(bytes(piece) for piece in pieces))
            assert rest == b""
            assert sum(len(payload) for *_, payload in found) <= most
            for kind_of, flags, of, payload in found:
                assert (kind_of, of) == (DATA, stream)
                assert 0 < len(payload) <= frame_size
                room -= len(payload)
                call_room -= len(payload)
                sent += payload
                assert bool(flags & END_STREAM) == (len(sent) == len(message))
            assert room >= 0
            assert call_room >= 0
    if first_window >= FIRST_WINDOW:  # else room was taken back, maybe
        assert sent == message
        assert frames.more(stream, most) is None
    assert message.startswith(sent)


def receive(frames: GrpcFrames, data: bytes, sizes: list[int]) -> list[tuple[int, object]]:
    """Hand over what comes as a connection does, in pieces of at most these sizes."""
    ended: list[tuple[int, object]] = []
    turn = 0
    while data:
        memory = frames.target()
        size = sizes[turn % len(sizes)] if memory is None else min(sizes[turn % len(sizes)], len(memory))
        came, data = data[:size], data[size:]
        if memory is None:
            ended += frames.take(came)
        else:
            memory[: len(came)] = came
            ended += frames.filled(len(came))
        turn += 1
    return ended


@given(
    sizes=st.lists(st.integers(min_value=1, max_value=70_000), min_size=1, max_size=8),
    frame_size=st.integers(min_value=100, max_value=1 << 20),
    length=st.integers(min_value=60_000, max_value=300_000),
)
def test_a_large_answer_is_read_however_it_is_cut(sizes, frame_size, length):
    sizes = [max(size, length // 200) for size in sizes]
    frames = GrpcFrames()
    frames.take(HELLO)
    for _ in range(3):
        frames.start(b"", b"m", 1.0)
    body = MESSAGE[:length]
    ended = receive(frames, whole(1) + large(3, body, frame_size) + whole(5), sizes)
    assert [(stream, bytes(outcome.message)) for stream, outcome in ended] == [(1, b"abc"), (3, body), (5, b"abc")]


def test_the_first_tensor_of_a_large_answer_is_aligned_in_memory_of_its_own():
    frames = GrpcFrames()
    frames.start(b"", b"m", 1.0)
    data = np.arange(100_000, dtype=np.float64).tobytes()
    head = b"\x0a\x01m\x12\x011\x2a\x0c\x0a\x01y\x12\x04FP64\x1a\x01\x01"  # a model's name, version, and an output
    ((_, answer),) = receive(frames, large(1, head + b"\x32\x80\xea\x30" + data), [50_000])
    assert isinstance(answer, GrpcAnswer)
    (tensor,) = parse_response(answer.message).outputs
    assert bytes(tensor.data) == data
    assert np.frombuffer(tensor.data, np.float64).flags.aligned
    assert np.shares_memory(np.frombuffer(tensor.data, np.uint8), np.frombuffer(answer.message, np.uint8))


@pytest.mark.parametrize("said", [200_000, 299_999, 300_001])
def test_a_large_answer_of_another_size_than_it_says_is_none(said):
    frames = GrpcFrames()
    frames.start(b"", b"m", 1.0)
    data = large(1, MESSAGE).replace(struct.pack(">BI", 0, len(MESSAGE)), struct.pack(">BI", 0, said))
    if said < len(MESSAGE):
        with pytest.raises(Garbled, match="not one whole message"):
            receive(frames, data, [50_000])
    else:
        ((_, outcome),) = receive(frames, data, [50_000])
        assert isinstance(outcome, Garbled)


def test_a_large_answer_that_ends_without_a_status_is_none():
    frames = GrpcFrames()
    frames.start(b"", b"m", 1.0)
    data = struct.pack(">BI", 0, len(MESSAGE)) + MESSAGE
    pieces = frame(HEADERS, END_HEADERS, 1, BEGINNING) + frame(DATA, END_STREAM, 1, data)
    ((_, outcome),) = receive(frames, pieces, [50_000])
    assert isinstance(outcome, Garbled)


def test_large_frames_may_be_padded():
    frames = GrpcFrames()
    frames.start(b"", b"m", 1.0)
    data = struct.pack(">BI", 0, len(MESSAGE)) + MESSAGE
    answer = frame(HEADERS, END_HEADERS, 1, BEGINNING)
    answer += frame(DATA, 0, 1, data[:100_000]) + frame(DATA, PADDED, 1, b"\3" + data[100_000:] + bytes(3))
    answer += frame(HEADERS, END_HEADERS | END_STREAM, 1, trailers())
    ((_, outcome),) = receive(frames, answer, [50_000])
    assert isinstance(outcome, GrpcAnswer)
    assert outcome.message == MESSAGE


def test_what_comes_of_a_large_answer_that_nobody_waits_for_is_passed_over():
    frames = GrpcFrames()
    frames.start(b"", b"m", 1.0)
    frames.start(b"", b"m", 1.0)
    data = large(1, MESSAGE, 200_000)
    assert receive(frames, data[:100_000], [30_000]) == []
    memory = frames.target()
    assert memory is not None
    assert frames.give_up(1) == frame(RST, 0, 1, struct.pack(">I", 8))
    memory[:1000] = data[100_000:101_000]  # an event loop may have been filling it
    assert frames.filled(1000) == []
    assert receive(frames, data[101_000:] + whole(3), [30_000]) == [(3, GrpcAnswer(0, "", b"abc"))]


@both
def test_a_large_message_goes_out_as_the_server_makes_room(ask):
    def behave(peer: Peer) -> None:
        peer.send(HELLO)
        came, stream = b"", 1
        for kind, flags, of, payload in coming(peer):
            if kind == DATA:
                came += payload
                assert len(came) <= FIRST_WINDOW + room[of]
                room[of] += len(payload)
                peer.send(window(0, len(payload)) + window(of, len(payload)))
                if flags & END_STREAM:
                    peer.send(large(stream, came[5:][::-1], 1 << 18))
                    came, stream = b"", stream + 2

    room = {1: 0, 3: 0, 5: 0}
    with FaultServer(behave) as server:
        messages = [MESSAGE, MESSAGE[:100_000], MESSAGE * 4]
        assert ask(server.port, *messages) == [message[::-1] for message in messages]
        assert server.connections == 1


@both
@pytest.mark.parametrize("reading", [True, False])
def test_a_server_that_makes_no_room_ends_in_the_deadline(ask, reading):
    """Neither windows that stay shut nor a socket that takes nothing outlasts it."""

    def behave(peer: Peer) -> None:
        peer.send(HELLO if reading else setting(4, (1 << 31) - 1) + window(0, (1 << 31) - 1 - FIRST_WINDOW))
        for kind, *_ in coming(peer):
            if kind == DATA and not reading:
                peer.hold()

    start = time.monotonic()
    with FaultServer(behave) as server, pytest.raises(TimeoutError):
        ask(server.port, bytes(1 << 25), timeout_s=0.5)
    assert time.monotonic() - start < 30


@both
@pytest.mark.parametrize("kind", ["answer", "reset"])
def test_an_answer_may_come_before_all_is_sent(ask, kind):
    said = {
        "answer": frame(HEADERS, END_HEADERS | END_STREAM, 1, BEGINNING + trailers("8", "too large")),
        "reset": frame(RST, 0, 1, struct.pack(">I", 11)),
    }

    def behave(peer: Peer) -> None:
        peer.send(HELLO)
        for kind_of, flags, of, _ in coming(peer):
            if kind_of == DATA and not flags & END_STREAM:
                peer.send(said[kind])
                peer.hold()
            elif kind_of == DATA:
                peer.send(whole(of))

    with FaultServer(behave) as server, pytest.raises(Exception, match=r"too large|takes no more calls") as caught:
        ask(server.port, MESSAGE * 10)
    assert getattr(caught.value, "code", "") == "RESOURCE_EXHAUSTED"


@both
def test_a_connection_that_ends_amid_a_message_has_dropped_it(ask):
    def behave(peer: Peer) -> None:
        peer.send(HELLO)
        for kind, *_ in coming(peer):
            if kind == DATA:
                return

    with FaultServer(behave) as server:
        with pytest.raises(Dropped):
            ask(server.port, MESSAGE * 10)
        assert server.connections == 1  # it may have been taken: it isn't sent again


def test_after_an_answer_to_what_was_not_read_the_next_call_connects():
    def refuse(peer: Peer) -> None:
        peer.send(HELLO + window(0, 1 << 30) + setting(4, 1 << 30))
        for kind, *_ in coming(peer):
            if kind == DATA:
                peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, BEGINNING + trailers("8", "too large")))
                peer._connection.shutdown(socket.SHUT_RD)  # what it is sent from now on is reset
                peer.hold()

    def answer(peer: Peer) -> None:
        peer.send(HELLO)
        for kind, flags, of, _ in coming(peer):
            if kind == DATA and flags & END_STREAM:
                peer.send(whole(of))

    with FaultServer(refuse, answer) as server:
        unary = UnaryCalls("/s/m", Endpoint("grpc", "127.0.0.1", server.port), OPTIONS)
        with pytest.raises(CallFailed, match="too large"):
            unary.call([MESSAGE * 100], None, Deadline(10))
        assert unary.call([b"m"], None, Deadline(10)) == b"abc"
        unary.close()
        assert server.connections == 2


@both
def test_a_message_that_a_leaving_server_has_not_taken_is_sent_anew(ask):
    def leave(peer: Peer) -> None:
        peer.send(HELLO)
        for kind, flags, of, _ in coming(peer):
            if kind == DATA and of == 1:
                peer.send(whole(1))
            elif kind == DATA and not flags & END_STREAM:
                peer.send(frame(GOAWAY, 0, 0, struct.pack(">II", 1, 0)))
                peer.hold()

    def answer(peer: Peer) -> None:
        peer.send(HELLO + window(0, 1 << 30) + setting(4, 1 << 30))
        for kind, flags, of, _ in coming(peer):
            if kind == DATA and flags & END_STREAM:
                peer.send(whole(of))

    with FaultServer(leave, answer) as server:
        assert ask(server.port, b"m", MESSAGE) == [b"abc", b"abc"]
        assert server.connections == 2


def test_nothing_is_written_to_a_connection_that_is_lost(caplog):
    """Asyncio complains of it in the log."""

    def reset(peer: Peer) -> None:
        peer.send(HELLO + window(0, 1 << 30) + setting(4, 1 << 30))
        for kind, *_ in coming(peer):
            if kind == DATA:
                peer.reset()
                return

    with FaultServer(reset) as server:
        for _ in range(3):
            with pytest.raises(Dropped):
                ask_in_a_loop(server.port, MESSAGE * 100)
    assert not caplog.records


def test_small_calls_of_a_loop_pass_a_large_one_by():
    async def main(port: int) -> None:
        unary = AsyncUnaryCalls("/s/m", Endpoint("grpc", "127.0.0.1", port), OPTIONS)
        slow = asyncio.ensure_future(unary.call([MESSAGE], None, Deadline(30)))
        while not begun.is_set():
            await asyncio.sleep(0.01)
        quick = await asyncio.gather(*[unary.call([b"m"], None, Deadline(10)) for _ in range(5)])
        assert quick == [b"abc"] * 5
        assert not slow.done()
        slow.cancel()
        await asyncio.wait([slow])
        assert await unary.call([b"m"], None, Deadline(10)) == b"abc"
        unary.close()
        await asyncio.sleep(0)

    def behave(peer: Peer) -> None:
        peer.send(HELLO)
        for kind, flags, of, _ in coming(peer):
            if kind == DATA and flags & END_STREAM:
                peer.send(whole(of))
            elif kind == DATA:
                begun.set()

    begun = threading.Event()
    with FaultServer(behave) as server:
        asyncio.run(main(server.port))
        assert server.connections == 2


def test_parts_go_out_from_where_they_are():
    data = np.arange(100_000, dtype=np.float32)
    frames = GrpcFrames()
    request = Request("m", (Tensor("x", "FP32", data.shape, memoryview(data).cast("B")),))
    stream, _ = frames.begin(b"", [request.inputs[0].data], data.nbytes, 1.0)
    pieces = frames.more(stream, 1 << 20)
    assert pieces is not None
    views = [piece for piece in pieces if isinstance(piece, memoryview) and piece.obj is data]
    assert sum(len(view) for view in views) == FIRST_WINDOW - 5
