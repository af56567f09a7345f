"""The HTTP transport against servers that fail in every way."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import numpy as np
import pytest

from tritonforge.client import AsyncClient, Client
from tritonforge.client.connections.async_pool import AsyncPool
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import DeadlineExceeded, InferenceFailed, InvalidRequest, ServerUnavailable
from tritonforge.client.http.answer import NoneFree
from tritonforge.client.http.async_connection import AsyncConnection
from tritonforge.client.http.async_transport import AsyncHttpTransport
from tritonforge.client.http.transport import HttpTransport
from tritonforge.client.message import Request, Tensor
from tritonforge.client.options import ConnectionOptions
from tritonforge.client.questions import Question
from tritonforge.client.url import parse_url

from .fault_server import ANSWER, ANSWER_BODY, FaultServer, Peer, answer_all, free_port, then_close, then_hold
from .observed import REQUEST, observed

SMALL = Request("m", (Tensor("x", "FP32", (2,), bytes(8)),))
LARGE = Request("m", (Tensor("x", "FP32", (1 << 20,), bytes(4 << 20)),))
MANY = Request("m", tuple(Tensor(f"x{n}", "INT8", (3000,), bytes([n]) * 3000) for n in range(100)))
MIXED = Request("m", (*MANY.inputs[:3], *LARGE.inputs, *MANY.inputs[3:5]))
LONG_S = 20.0
"""More than any test should need; what takes this long hangs."""


def infer(server: FaultServer, request=SMALL, *, timeout_s=LONG_S):
    transport = HttpTransport(parse_url(server.url))
    try:
        return transport.infer(request, Deadline(timeout_s))
    finally:
        transport.close()


def values(response):
    return np.frombuffer(response.outputs[0].data, "<f4").tolist()


@pytest.mark.parametrize("request_", [SMALL, LARGE, MANY, MIXED], ids=["small", "large", "many", "mixed"])
def test_a_request_reaches_the_server_whole(request_):
    seen = []

    def record(peer: Peer) -> None:
        seen.append(peer.request())
        peer.send(ANSWER)

    with FaultServer(record) as server:
        assert values(infer(server, request_)) == [1, 2]
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v2/models/m/infer HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{server.port}".encode() in head
    assert body.endswith(b"}]}" + b"".join(tensor.data for tensor in request_.inputs))


def test_names_are_quoted_in_the_path():
    seen = []

    def record(peer: Peer) -> None:
        seen.append(peer.request())
        peer.send(ANSWER)

    with FaultServer(record) as server:
        server.url += "/prefix"
        infer(server, Request("a b/ü?", (), version="7"))
    assert seen[0].startswith(b"POST /prefix/v2/models/a%20b%2F%C3%BC%3F/versions/7/infer HTTP/1.1\r\n")


def test_one_connection_serves_many_requests():
    with FaultServer(answer_all) as server:
        transport = HttpTransport(parse_url(server.url))
        for _ in range(5):
            assert values(transport.infer(SMALL, Deadline(LONG_S))) == [1, 2]
        transport.close()
        assert server.connections == 1


def test_many_threads_share_a_transport():
    with FaultServer(answer_all) as server:
        transport = HttpTransport(parse_url(server.url))
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: values(transport.infer(SMALL, Deadline(LONG_S))), range(200)))
        transport.close()
        assert answers == [[1, 2]] * 200
        assert server.connections <= 8


def test_a_server_that_is_down_is_said_to_be_at_once():
    transport = HttpTransport(parse_url(f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(ServerUnavailable, match=rf"m at {transport.url}: Connection refused"):
        transport.infer(SMALL, Deadline(LONG_S))


def test_a_host_without_an_address_is_unavailable():
    transport = HttpTransport(parse_url("http://no-such-host.invalid:1"))
    with pytest.raises(ServerUnavailable, match=r"no-such-host\.invalid"):
        transport.infer(SMALL, Deadline(LONG_S))


def dripping(data: bytes, *, pause_s: float):
    def behave(peer: Peer) -> None:
        peer.request()
        for byte in data:
            peer.send(bytes([byte]))
            time.sleep(pause_s)

    return behave


@pytest.mark.parametrize(
    "behaviour",
    [
        Peer.hold,
        then_hold(b""),
        then_hold(b"HTTP/1.1 200 OK\r\n"),
        then_hold(ANSWER[:-1]),
        then_hold(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
        then_hold(b"HTTP/1.1 200 OK\r\n\r\nuntil the end"),
        then_hold(b"HTTP/1.1 100 Continue\r\n\r\n"),
        dripping(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 5000, pause_s=0.02),
    ],
    ids=["accepts only", "silent", "half a head", "one byte less", "half a chunk", "no end", "continue", "drip"],
)
@pytest.mark.parametrize("request_", [SMALL, LARGE], ids=["small", "large"])
def test_a_server_that_does_not_finish_ends_in_a_deadline(behaviour, request_):
    with FaultServer(behaviour) as server, pytest.raises(DeadlineExceeded, match=r"no answer within 0\.2 s"):
        infer(server, request_, timeout_s=0.2)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\0\0\x12\4\0\0\0\0\0", "this is a gRPC port"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", r"not an HTTP response: 'SSH-2.0-OpenSSH_9.2\\r\\n'"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\ncontent-length: 9\r\n\r\n{}", "Content-Length is '7', and '9'"),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 33\r\n\r\n{"model_name": "m","outputs": {}}', "JSON has another form"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 13\r\n\r\n<html></html>", "HTTP 502: <html></html>$"),
        (b"HTTP/1.1 abc\r\n\r\n", "not an HTTP response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "Content-Length is '-5'"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n", "Content-Length is '1_0'"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", "doesn't fit into memory"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "a chunk's length is 'zz'"),
        (b"\x15\x03\x01\0\2\2\x46", "this is a port of TLS: use https://"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ngarbage", "not Triton's: it is not JSON"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "not Triton's: 'outputs' is missing"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull", "not Triton's: its JSON has another form"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\xff", "not Triton's: it is not text in UTF-8"),
        (b"HTTP/1.1 200 OK\r\nInference-Header-Content-Length: x\r\nContent-Length: 2\r\n\r\n{}", "Length is 'x'"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"[" * 200_000, "its JSON is nested too deeply"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "HTTP 204"),
        (b"HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n", "HTTP 301"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 400_000, "the answer is not Triton's: its head takes more than 256 KB"),
        (ANSWER[:-1], "closed after 1[0-9]+ of 1[0-9]+ bytes"),
        (ANSWER[:40], "closed in the middle"),
        (b"", "closed before an answer"),
    ],
)
def test_what_is_no_answer_of_tritons_is_unavailable(data, message):
    with FaultServer(then_close(data)) as server, pytest.raises(ServerUnavailable, match=message):
        infer(server)


def fails_at_last(server: FaultServer, *, loop: bool, answers: int) -> str:
    """Ask until the server answers no more; give the words of that error."""

    async def main() -> None:
        transport = AsyncHttpTransport(parse_url(server.url))
        try:
            for _ in range(answers + 1):
                await transport.infer(SMALL, Deadline(LONG_S))
        finally:
            await transport.close()

    def block() -> None:
        transport = HttpTransport(parse_url(server.url))
        with closing(transport):
            for _ in range(answers + 1):
                transport.infer(SMALL, Deadline(LONG_S))

    with pytest.raises(ServerUnavailable) as caught:
        asyncio.run(main()) if loop else block()
    return caught.value.reason


@pytest.mark.parametrize("loop", [False, True])
def test_a_port_is_taken_for_one_of_tls_only_where_it_has_never_answered(loop):
    hint = "is the port one of TLS? then use https://"
    with FaultServer(lambda peer: peer.request()) as server:
        assert hint in fails_at_last(server, loop=loop, answers=0)
    closing_answer = ANSWER.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n")
    with FaultServer(then_close(closing_answer), lambda peer: peer.request()) as server:
        words = fails_at_last(server, loop=loop, answers=1)
        assert "closed before an answer" in words
        assert hint not in words


def test_a_head_past_all_bounds_is_refused_by_both_clients_and_not_asked_for_again():
    async def main(url: str) -> None:
        async with AsyncClient(url, timeout_s=LONG_S) as client:
            with pytest.raises(ServerUnavailable, match="its head takes more than 256 KB"):
                await client.server()

    large = b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000 + b"\r\nContent-Length: 2\r\n\r\n{}"
    with FaultServer(then_close(large)) as server:
        with (
            Client(server.url, timeout_s=LONG_S) as client,
            pytest.raises(ServerUnavailable, match="its head takes more than 256 KB"),
        ):
            client.server()
        asyncio.run(main(server.url))
        assert server.connections == 2


def test_an_error_without_words_is_told_by_its_status():
    refusal = b'HTTP/1.1 500 no\r\nContent-Length: 15\r\n\r\n{"error": null}'
    with FaultServer(then_close(refusal)) as server, pytest.raises(InferenceFailed, match=r": HTTP 500$"):
        infer(server)


def test_a_redirection_is_told_with_where_it_leads_and_not_followed():
    answer = b"HTTP/1.1 308 Moved\r\nLocation: https://triton.example/v2\r\nContent-Length: 0\r\n\r\n"
    words = "it answered HTTP 308 with a redirection to https://triton.example/v2, which isn't followed: give"
    with FaultServer(then_close(answer)) as server:
        with pytest.raises(ServerUnavailable, match=words):
            infer(server)
        assert server.connections == 1


@pytest.mark.parametrize(
    ("said", "after_s"),
    [
        (b"7", 7),
        (b"0.2", 0.2),
        (b"-1", 0),
        (b"soon", 0),
        (b"Wed, 21 Oct 2026 07:28:00 GMT", 0),
        (b"Wed, 21 Oct 2026 07:28:05 GMT\r\nDate: Wed, 21 Oct 2026 07:28:00 GMT", 5),
        (b"Wednesday, 21-Oct-26 07:28:05 GMT\r\nDate: Wed Oct 21 07:28:00 2026", 5),
        (b"Wed, 21 Oct 2026 07:27:00 GMT\r\nDate: Wed, 21 Oct 2026 07:28:00 GMT", 0),
    ],
)
def test_when_to_ask_again_is_read_where_it_is_in_seconds_or_a_date(said, after_s):
    refusal = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: %b\r\nContent-Length: 0\r\n\r\n" % said
    with FaultServer(then_close(refusal)) as server, pytest.raises(ServerUnavailable) as caught:
        infer(server)
    assert caught.value.after_s == after_s


@pytest.mark.parametrize(
    "behaviour", [Peer.reset, lambda peer: (peer.request(), peer.reset())], ids=["at once", "late"]
)
@pytest.mark.parametrize("request_", [SMALL, LARGE], ids=["small", "large"])
def test_a_fresh_connection_that_is_reset_is_not_tried_again(behaviour, request_):
    with FaultServer(behaviour) as server:
        with pytest.raises(ServerUnavailable):
            infer(server, request_)
        assert server.connections == 1


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (b'HTTP/1.1 400 Bad Request\r\nContent-Length: 17\r\n\r\n{"error":"words"}', InvalidRequest),
        (b'HTTP/1.1 500 Oh\r\nContent-Length: 17\r\n\r\n{"error":"words"}', InferenceFailed),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r\nwords", ServerUnavailable),
        (b"HTTP/1.0 503 Busy\r\n\r\nwords", ServerUnavailable),
    ],
)
def test_an_error_has_the_servers_words(answer, wanted):
    with FaultServer(then_close(answer)) as server, pytest.raises(wanted, match=r"m at http://.*: words$"):
        infer(server)


def test_a_server_that_refuses_a_large_body_before_its_end_is_no_hang():
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 9\r\nConnection: close\r\n\r\ntoo large"
    with FaultServer(lambda peer: peer.send(refusal)) as server:
        # Whether the refusal is read before the reset that follows it is the kernel's choice.
        with pytest.raises((InvalidRequest, ServerUnavailable), match=r"too large|reset|[Bb]roken pipe"):
            infer(server, LARGE)
        assert server.connections == 1


CHUNKED = (
    b"HTTP/1.1 200 OK\r\nInference-Header-Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n" % len(ANSWER_BODY)
    + b"%x;ext=1\r\n%b\r\n" % (len(ANSWER_BODY), ANSWER_BODY)
    + b"3\r\n%b\r\n5\r\n%b\r\n0\r\nTrailer: x\r\n\r\n" % (ANSWER[-8:-5], ANSWER[-5:])
)


@pytest.mark.parametrize(
    "answer",
    [
        CHUNKED,
        b"HTTP/1.1 100 Continue\r\n\r\n" + ANSWER,
        ANSWER.replace(b"Content-Length: %d\r\n\r\n" % (len(ANSWER_BODY) + 8), b"\r\n"),
        ANSWER.replace(b"Content-Type", b"content-type").replace(b"Inference-Header", b"inference-header"),
    ],
    ids=["chunked", "after a continue", "until the close", "lower case"],
)
def test_every_form_of_a_response_is_read(answer):
    with FaultServer(then_close(answer)) as server:
        assert values(infer(server)) == [1, 2]
    with FaultServer(dripping(answer, pause_s=0.0005)) as server:
        assert values(infer(server)) == [1, 2]


def test_a_connection_that_the_server_closed_while_idle_is_replaced():
    with FaultServer(then_close(ANSWER), answer_all) as server:
        transport = HttpTransport(parse_url(server.url))
        transport.infer(SMALL, Deadline(LONG_S))
        (place,) = transport._pool._idle
        kept = place.connection
        assert kept is not None
        deadline = Deadline(LONG_S)
        while kept.is_quiet() and deadline.left_s():
            pass
        for _ in range(2):
            assert values(transport.infer(SMALL, Deadline(LONG_S))) == [1, 2]
        transport.close()
        assert server.connections == 2


def test_a_connection_that_was_closed_while_its_loop_stood_still_is_replaced():
    leave = threading.Event()

    async def infer_first(transport: AsyncHttpTransport) -> AsyncConnection:
        await transport.infer(SMALL, Deadline(LONG_S))
        (kept,) = transport._pools.get()._idle
        return kept

    with FaultServer(lambda peer: (then_close(ANSWER)(peer), leave.wait(LONG_S)), answer_all) as server:
        transport = AsyncHttpTransport(parse_url(server.url))
        with closing(asyncio.new_event_loop()) as loop:
            kept = loop.run_until_complete(infer_first(transport))
            leave.set()
            assert kept._arrivals.poll(LONG_S * 1000)
            assert kept.open, "the loop has not looked"
            assert values(loop.run_until_complete(transport.infer(SMALL, Deadline(LONG_S)))) == [1, 2]
            loop.run_until_complete(transport.close())
        assert server.connections == 2


def answer_once_then_drop(peer: Peer) -> None:
    peer.request()
    peer.send(ANSWER)
    peer.request()


def infer_in_a_loop(server: FaultServer, count: int) -> None:
    async def main() -> None:
        transport = AsyncHttpTransport(parse_url(server.url))
        try:
            for _ in range(count):
                await transport.infer(SMALL, Deadline(LONG_S))
        finally:
            await transport.close()

    asyncio.run(main())


def infer_in_turn(server: FaultServer, count: int) -> None:
    with closing(HttpTransport(parse_url(server.url))) as transport:
        for _ in range(count):
            transport.infer(SMALL, Deadline(LONG_S))


@pytest.mark.parametrize("infer", [infer_in_turn, infer_in_a_loop])
def test_a_request_that_is_dropped_on_a_kept_connection_was_sent(infer):
    with FaultServer(answer_once_then_drop, answer_all) as server:
        with pytest.raises(ServerUnavailable, match="the connection was closed before an answer") as caught:
            infer(server, 2)
        assert caught.value.sent
        assert server.connections == 1


@pytest.mark.parametrize(("attempts", "request_"), [(1, REQUEST), (3, REQUEST._replace(parameters={"sequence_id": 5}))])
def test_what_is_not_to_be_sent_twice_is_not_where_a_kept_connection_drops_it(attempts, request_):
    with FaultServer(answer_once_then_drop, answer_all) as server:
        with observed(server.url, attempts=attempts) as line:
            line.infer()
            with pytest.raises(ServerUnavailable) as caught:
                line.infer(request_)
        assert caught.value.sent
        assert server.connections == 1


def test_what_a_kept_connection_drops_is_sent_again_as_one_more_attempt():
    with FaultServer(answer_once_then_drop, answer_all) as server:
        with observed(server.url, attempts=2) as line:
            for _ in range(3):
                assert values(line.infer()) == [1, 2]
        assert server.connections == 2


def test_the_other_idle_connections_are_left_once_one_has_dropped_a_request():
    together = threading.Barrier(2)

    def meet_then_drop(peer: Peer) -> None:
        peer.request()
        together.wait(LONG_S)
        peer.send(ANSWER)
        peer.request()

    with FaultServer(meet_then_drop, meet_then_drop, answer_all) as server, ThreadPoolExecutor(2) as pool:
        transport = HttpTransport(parse_url(server.url))
        list(pool.map(lambda _: transport.infer(SMALL, Deadline(LONG_S)), range(2)))
        with pytest.raises(ServerUnavailable):
            transport.infer(SMALL, Deadline(LONG_S))
        assert values(transport.infer(SMALL, Deadline(LONG_S))) == [1, 2]
        transport.close()
        assert server.connections == 3


def test_an_answer_that_breaks_off_is_not_asked_for_again():
    def answer_once_then_half(peer: Peer) -> None:
        peer.request()
        peer.send(ANSWER)
        peer.request()
        peer.send(ANSWER[:60])

    with FaultServer(answer_once_then_half, answer_all) as server:
        transport = HttpTransport(parse_url(server.url))
        transport.infer(SMALL, Deadline(LONG_S))
        with pytest.raises(ServerUnavailable, match="closed"):
            transport.infer(SMALL, Deadline(LONG_S))
        transport.close()
        assert server.connections == 1


@pytest.mark.parametrize("stray", [b"x", b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n", ANSWER])
def test_bytes_that_nobody_asked_for_are_never_an_answer(stray):
    ready = threading.Event()

    def answer_then_stray(peer: Peer) -> None:
        peer.request()
        peer.send(ANSWER)
        ready.wait(LONG_S)
        peer.send(stray)
        peer.hold()

    with FaultServer(answer_then_stray, then_close(ANSWER.replace(b'"3"', b'"4"'))) as server:
        transport = HttpTransport(parse_url(server.url))
        assert transport.infer(SMALL, Deadline(LONG_S)).version == "3"
        ready.set()
        (place,) = transport._pool._idle
        assert place.connection is not None
        deadline = time.monotonic() + LONG_S
        while place.connection.is_quiet() and time.monotonic() < deadline:
            time.sleep(0.001)
        assert transport.infer(SMALL, Deadline(LONG_S)).version == "4"
        transport.close()


def test_bytes_after_an_answer_end_the_connection():
    with FaultServer(then_hold(ANSWER + b"HTTP/1.1 500 no\r\n\r\n"), then_close(ANSWER)) as server:
        transport = HttpTransport(parse_url(server.url))
        for _ in range(2):
            assert values(transport.infer(SMALL, Deadline(LONG_S))) == [1, 2]
        transport.close()
        assert server.connections == 2


def test_a_closed_transport_says_so():
    transport = HttpTransport(parse_url("http://127.0.0.1:1"))
    transport.close()
    with pytest.raises(RuntimeError, match="closed"):
        transport.infer(SMALL, Deadline(LONG_S))


def test_connecting_is_within_the_deadline():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = []
        try:
            for _ in range(4):  # fills the backlog: a further connection is neither taken nor refused
                client = socket.socket()
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", port))
                waiting.append(client)
            with pytest.raises(DeadlineExceeded):
                HttpTransport(parse_url(f"http://127.0.0.1:{port}")).infer(SMALL, Deadline(0.3))
        finally:
            for client in waiting:
                client.close()


def test_an_answer_that_comes_whole_is_read_as_one_that_comes_in_parts():
    length = b"Content-Length: %d\r\n\r\n" % (len(ANSWER_BODY) + 8)
    others = [
        ANSWER.replace(b"Content-Length: ", b"Content-Length: 0"),
        ANSWER.replace(b"Content-Length: ", b"Content-Length:   "),
        ANSWER.replace(length, b"Connection: close\r\n" + length),
        b"HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\n\r\n" + ANSWER,
    ]
    for answer in (ANSWER, *others):
        with FaultServer(then_hold(answer)) as server:
            assert values(infer(server)) == [1, 2]
        with FaultServer(dripping(answer, pause_s=0)) as server:
            assert values(infer(server)) == [1, 2]


def test_connections_are_bounded_and_who_waits_for_one_is_served_or_late():
    begun, go_on = threading.Event(), threading.Event()

    def slow(peer: Peer) -> None:
        while peer.request():
            begun.set()
            go_on.wait(LONG_S)
            peer.send(ANSWER)

    with FaultServer(slow) as server:
        transport = HttpTransport(parse_url(server.url), ConnectionOptions(max_connections=1))
        with ThreadPoolExecutor(5) as pool:
            first = pool.submit(transport.infer, SMALL, Deadline(LONG_S))
            assert begun.wait(LONG_S)
            with pytest.raises(
                DeadlineExceeded, match=r"no free connection \(max_connections=1: all in use\) within 0\.1 s"
            ):
                transport.infer(SMALL, Deadline(0.1))
            others = [pool.submit(transport.infer, SMALL, Deadline(LONG_S)) for _ in range(4)]
            go_on.set()
            assert all(values(answer.result(LONG_S)) == [1, 2] for answer in (first, *others))
        transport.close()
        assert server.connections == 1


def test_a_task_that_waits_for_a_connection_is_told_so():
    async def main() -> None:
        pool: AsyncPool[Any] = AsyncPool(lambda deadline: pytest.fail("it connects"), 1)
        await pool.take_place(Deadline(LONG_S))
        with pytest.raises(NoneFree, match="max_connections=1"):
            await pool.take_place(Deadline(0.01))
        over = Deadline(0.01)
        await asyncio.sleep(0.02)
        with pytest.raises(TimeoutError):
            await pool.take_place(over)
        pool.free_place()
        await pool.take_place(Deadline(LONG_S))  # who was late has not taken it

    asyncio.run(main())


def test_another_server_that_says_it_is_ready_as_the_metrics_port_does_is_ready():
    def serve(peer: Peer) -> None:
        while request := peer.request():
            who = request.startswith(b"GET /v2 ")
            body = b'{"name":"other","version":"1","extensions":[]}' if who else b""
            kind = b"application/json" if who else b"text/plain; charset=utf-8"
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (kind, len(body), body))

    with FaultServer(serve) as server:
        transport = HttpTransport(parse_url(server.url))
        assert transport.ask(Question("server_ready"), Deadline(LONG_S))
        transport.close()
