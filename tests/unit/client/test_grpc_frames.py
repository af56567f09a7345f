"""HTTP/2 frames of unary gRPC calls, without a socket."""

from __future__ import annotations

import gzip
import struct
import zlib

import pytest

from tritonforge.client.grpc.answer import GrpcAnswer
from tritonforge.client.grpc.frames import LARGEST_MESSAGE, GrpcFrames
from tritonforge.client.http.answer import Garbled, Leaving, Unsent
from tritonforge.hpack import decode_headers, encode_field

from .http2_frames import (
    ACK,
    BEGINNING,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    MESSAGE,
    PADDED,
    PING,
    RST,
    SETTINGS,
    WINDOW,
    frame,
    trailers,
    whole,
)


def begun(calls: int = 1) -> GrpcFrames:
    frames = GrpcFrames()
    for _ in range(calls):
        frames.start(b"", b"m", 1.0)
    return frames


def test_a_call_is_a_preface_headers_and_one_message():
    frames = GrpcFrames()
    stream, data = frames.start(encode_field("a", "b"), b"hello", 2.5)
    assert stream == 1
    assert data.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert data.endswith(frame(DATA, END_STREAM, 1, b"\0\0\0\0\5hello"))
    start = data.index(bytes([HEADERS, END_HEADERS, 0, 0, 0, 1])) + 6
    size = int.from_bytes(data[start - 9 : start - 6], "big")
    assert decode_headers(data[start : start + size]) == {"a": "b", "grpc-timeout": "3500000u"}
    stream, data = frames.start(b"", b"x", 3600)
    assert (stream, b"3601000m" in data, b"PRI" in data) == (3, True, False)


@pytest.mark.parametrize("timeout_s", [1e-6, 0.005, 98.5, 3600, 99_000, 1_000_000])
@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
def test_a_server_is_told_to_wait_longer_than_the_client_does(timeout_s, large):
    frames = GrpcFrames()
    frames.reply()
    _, data = frames.begin(b"", [b"x"], 1, timeout_s) if large else frames.start(b"", b"x", timeout_s)
    told = decode_headers(data[9 : 9 + int.from_bytes(data[:3], "big")])["grpc-timeout"]
    assert len(told) <= 9
    assert int(told[:-1]) * {"u": 1e-6, "m": 1e-3, "S": 1.0}[told[-1]] >= timeout_s + 0.99


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_answer_is_read_however_it_is_cut(size):
    frames = begun()
    data = frame(SETTINGS, 0, 0, b"") + whole(1)
    ended = [end for start in range(0, len(data), size) for end in frames.take(data[start : start + size])]
    assert ended == [(1, GrpcAnswer(0, "", b"abc"))]
    assert frame(SETTINGS, 1, 0, b"") in frames.replies
    assert frames.busy == 0


def test_answers_come_in_any_order_and_in_pieces():
    frames = begun(2)
    assert frames.take(frame(HEADERS, END_HEADERS, 1, BEGINNING) + frame(DATA, 0, 1, MESSAGE[:4])) == []
    assert frames.take(whole(3)) == [(3, GrpcAnswer(0, "", b"abc"))]
    assert (frames.begun(1), frames.begun(3)) == (True, False)
    last = frame(DATA, 0, 1, MESSAGE[4:]) + frame(HEADERS, END_HEADERS | END_STREAM, 1, trailers())
    assert frames.take(last) == [(1, GrpcAnswer(0, "", b"abc"))]


def test_padding_and_continued_headers_are_read():
    frames = begun()
    data = frame(HEADERS, 0, 1, BEGINNING[:5]) + frame(CONTINUATION, END_HEADERS, 1, BEGINNING[5:])
    data += frame(DATA, PADDED, 1, b"\2" + MESSAGE + b"\0\0")
    data += frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, b"\1" + trailers() + b"\0")
    assert frames.take(data) == [(1, GrpcAnswer(0, "", b"abc"))]


def test_errors_have_their_code_and_words():
    ended = begun().take(frame(HEADERS, END_HEADERS | END_STREAM, 1, BEGINNING + trailers("3", "so%20it is")))
    assert ended == [(1, GrpcAnswer(3, "so it is", b""))]
    busy = encode_field(":status", "503")
    ended = begun().take(frame(HEADERS, END_HEADERS | END_STREAM, 1, busy))
    assert ended == [(1, GrpcAnswer(14, "HTTP status 503, which is not gRPC's", b""))]


def compressed(body: bytes, encoding: str) -> bytes:
    beginning = BEGINNING + encode_field("grpc-encoding", encoding)
    return (
        frame(HEADERS, END_HEADERS, 1, beginning)
        + frame(DATA, 0, 1, struct.pack(">BI", 1, len(body)) + body)
        + frame(HEADERS, END_HEADERS | END_STREAM, 1, trailers())
    )


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_an_answer_that_nobody_asked_to_compress_is_read(encoding, pack):
    assert begun().take(compressed(pack(b"hello"), encoding)) == [(1, GrpcAnswer(0, "", b"hello"))]


@pytest.mark.parametrize(("encoding", "words"), [("gzip", "broken"), ("snappy", "'snappy', which nobody asked for")])
def test_one_that_can_not_be_unpacked_is_none(encoding, words):
    ((_, outcome),) = begun().take(compressed(b"hello", encoding))
    assert isinstance(outcome, Garbled)
    assert words in str(outcome)


@pytest.mark.parametrize("body", [b"", b"\0\0\0\0\4abc", b"\1\0\0\0\3abc", MESSAGE + MESSAGE])
def test_what_is_not_one_message_is_no_answer(body):
    ((stream, outcome),) = begun().take(whole(1, body))
    assert stream == 1
    assert isinstance(outcome, Garbled)


def test_a_server_that_leaves_has_not_taken_later_calls():
    frames = begun(2)
    ((stream, outcome),) = frames.take(frame(GOAWAY, 0, 0, struct.pack(">II", 1, 0)))
    assert (stream, type(outcome)) == (3, Leaving)
    assert not frames.usable
    assert frames.take(whole(1)) == [(1, GrpcAnswer(0, "", b"abc"))]


@pytest.mark.parametrize(("code", "kind"), [(7, Unsent), (2, Garbled)])
def test_a_reset_ends_its_call_alone(code, kind):
    frames = begun(2)
    ((stream, outcome),) = frames.take(frame(RST, 0, 1, struct.pack(">I", code)))
    assert (stream, type(outcome)) == (1, kind)
    assert frames.take(whole(3)) == [(3, GrpcAnswer(0, "", b"abc"))]
    assert frames.usable


def test_a_server_that_asks_for_calm_is_busy_not_broken():
    frames = begun(2)
    ((_, outcome),) = frames.take(frame(RST, 0, 1, struct.pack(">I", 11)))
    assert isinstance(outcome, GrpcAnswer)
    assert outcome.code == 8  # RESOURCE_EXHAUSTED
    assert "ENHANCE_YOUR_CALM" in outcome.words
    frames.take(frame(HEADERS, END_HEADERS, 3, BEGINNING))
    ((_, outcome),) = frames.take(frame(RST, 0, 3, struct.pack(">I", 11)))
    assert isinstance(outcome, Garbled), "its answer had begun"


def test_a_call_that_is_given_up_is_reset_and_its_answer_passed_over():
    frames = begun()
    assert frames.give_up(1) == frame(RST, 0, 1, struct.pack(">I", 8))
    assert frames.give_up(1) == b""
    assert frames.take(whole(1)) == []
    assert frames.usable


def test_windows_and_settings_say_what_fits():
    frames = GrpcFrames()
    assert frames.fits(LARGEST_MESSAGE)
    assert not frames.fits(LARGEST_MESSAGE + 1)
    for _ in range(3):
        frames.start(b"", bytes(LARGEST_MESSAGE), 1.0)
    assert frames.fits(LARGEST_MESSAGE - 1)
    frames.start(b"", bytes(LARGEST_MESSAGE - 1), 1.0)
    assert not frames.fits(1)
    frames.take(frame(WINDOW, 0, 0, struct.pack(">I", 6)))
    assert frames.fits(1)
    frames.take(frame(SETTINGS, 0, 0, struct.pack(">HI", 3, 4)))
    assert not frames.fits(1)


def test_pings_are_answered():
    frames = begun()
    frames.take(frame(PING, 0, 0, b"12345678") + frame(PING, 1, 0, b"87654321"))
    assert bytes(frames.replies) == frame(PING, 1, 0, b"12345678")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff" * 100, "not HTTP/2"),
        (whole(5), "never made"),
        (frame(5, END_HEADERS, 2, b""), "pushes"),
        (frame(DATA, PADDED, 1, b"\x09a"), "padding"),
        (frame(HEADERS, END_HEADERS, 1, b"\xbe"), "entry 62"),
    ],
)
def test_what_is_no_http2_ends_the_connection(data, words):
    with pytest.raises(Garbled, match=words):
        begun().take(data)


SPEAKS_FIRST = {
    "HTTP/1": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "TLS alert": b"\x15\x03\x01\0\x02\x02\x46",
    "goaway": frame(GOAWAY, 0, 0, struct.pack(">II", 0, 11)),
    "ping": frame(PING, 0, 0, b"12345678"),
    "reset": frame(RST, 0, 1, struct.pack(">I", 7)),
    "acknowledgement": frame(SETTINGS, ACK, 0, b""),
    "settings of a call": frame(SETTINGS, 0, 1, b""),
}


@pytest.mark.parametrize("first", SPEAKS_FIRST)
@pytest.mark.parametrize("pieces", [1, 5])
def test_a_peer_that_begins_with_anything_but_settings_speaks_no_http2(first, pieces):
    data = SPEAKS_FIRST[first]
    words = "is it the server's HTTP port" if first == "HTTP/1" else "not HTTP/2"
    frames = GrpcFrames()
    for size in range(1, pieces):
        frames.greet(data[size - 1 : size])
    with pytest.raises(Garbled, match=words):
        frames.greet(data[pieces - 1 :])


def test_settings_greet_however_they_are_cut():
    frames = GrpcFrames()
    greeting = frame(SETTINGS, 0, 0, struct.pack(">HI", 3, 4)) + frame(PING, 0, 0, b"12345678")
    frames.reply()
    for position in range(len(greeting)):
        assert frames.greeted == (position >= 15)
        (frames.take if frames.greeted else frames.greet)(greeting[position : position + 1])
    assert frames.reply() == frame(SETTINGS, ACK, 0, b"") + frame(PING, ACK, 0, b"12345678")


def test_headers_without_an_end_end_the_connection():
    frames = begun()
    endless = frame(HEADERS, 0, 1, b"") + 20 * frame(CONTINUATION, 0, 1, bytes(1 << 14))
    with pytest.raises(Garbled, match="without an end"):
        frames.take(endless)
