"""Round trips as the wire has them: the witness of what generators say."""

from __future__ import annotations

import http.client
import http.server
import threading
import time

import pytest
from reference_wire import Packet, percentile, round_trips, watch

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HELD_S = 0.05


def frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + body


def test_http_is_timed_from_a_posts_first_byte_to_its_answers_last() -> None:
    packets = [
        Packet(10, 1, True, b"POST /v2/models/m/infer HTTP/1.1\r\n\r\n"),
        Packet(11, 2, True, b"GET /v2/models/stats HTTP/1.1\r\n\r\n"),
        Packet(12, 1, True, b"the rest of the body"),
        Packet(13, 1, False, b""),
        Packet(30, 1, False, b"HTTP/1.1 200 OK\r\n\r\n"),
        Packet(35, 1, False, b"{}"),
        Packet(36, 2, False, b"HTTP/1.1 200 OK\r\n\r\n{}"),
        Packet(40, 1, True, b"POST /v2/models/m/infer HTTP/1.1\r\n\r\n{}"),
        Packet(47, 1, False, b"HTTP/1.1 200 OK\r\n\r\n{}"),
    ]
    assert round_trips(packets) == [25, 7]


def test_streams_of_http2_are_told_apart_however_their_frames_are_cut() -> None:
    """The server's settings may pass before the client's first words; short messages are no inferences."""
    asked = frame(1, 4, 1, b"h" * 20) + frame(0, 1, 1, b"i" * 150) + frame(1, 4, 3, b"h" * 5)
    answers = frame(1, 4, 1, b"h") + frame(0, 0, 1, b"o" * 90) + frame(1, 5, 1, b"t")
    packets = [
        Packet(1, 7, False, frame(4, 0, 0, b"")),
        Packet(2, 7, True, PREFACE + frame(4, 0, 0, b"")),
        Packet(10, 7, True, asked),
        Packet(14, 7, True, frame(0, 1, 3, b"i" * 200)[:50]),
        Packet(15, 7, True, frame(0, 1, 3, b"i" * 200)[50:] + frame(1, 4, 5, b"h") + frame(0, 1, 5, b"short")),
        Packet(20, 7, False, answers[:40]),
        Packet(22, 7, False, answers[40:] + frame(1, 5, 5, b"t")),
        Packet(33, 7, False, frame(1, 5, 3, b"t")),
    ]
    assert round_trips(packets) == [12, 23]


def test_a_percentile_is_at_perf_analyzers_rank() -> None:
    assert [percentile([4.0, 1.0, 3.0, 2.0], percent) for percent in (0, 50, 99)] == [1.0, 3.0, 4.0]


class Slow(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        time.sleep(HELD_S)  # the time that the witness must see
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        return


def test_a_real_exchange_is_seen_from_outside() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), Slow) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def ask() -> float:
            started = time.monotonic()
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
            connection.request("POST", "/infer", b"x" * 200)
            connection.getresponse().read()
            connection.close()
            return (time.monotonic() - started) * 1e6

        try:
            asked_us, seen_us = watch(server.server_port, ask)
        except PermissionError:
            pytest.skip("looking at packets needs CAP_NET_RAW")
        finally:
            server.shutdown()
            thread.join()
    assert len(seen_us) == 1
    assert HELD_S * 1e6 <= seen_us[0] <= asked_us
