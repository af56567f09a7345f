"""Unary calls over connections of our own, against servers that fail."""

from __future__ import annotations

import asyncio
import struct
import threading
from contextlib import closing
from typing import cast

import pytest

from tritonforge.client.deadline import Deadline
from tritonforge.client.grpc.async_connection import AsyncGrpcConnection
from tritonforge.client.grpc.tending import Tender
from tritonforge.client.grpc.unary import AsyncUnaryCalls, CallFailed, UnaryCalls, takes
from tritonforge.client.http.answer import Dropped, Garbled, Unsent
from tritonforge.client.options import ConnectionOptions
from tritonforge.client.url import Endpoint, parse_url

from .fault_server import FaultServer, Peer, free_port
from .http2_frames import ACK, DATA, END_STREAM, GOAWAY, PING, RST, SETTINGS, frame, whole

OPTIONS = ConnectionOptions()
HELLO = frame(SETTINGS, 0, 0, b"")
LEAVING = frame(GOAWAY, 0, 0, struct.pack(">II", 0, 0))


def answering(*answers: bytes, rest: bool = True):
    """Answer calls with these bytes, one after another; the last also to all further ones, else it closes."""

    def behave(peer: Peer) -> None:
        peer.send(HELLO)
        turn = 0
        while turn < len(answers) or rest:
            data = peer._connection.recv(1 << 16)
            if not data:
                return
            if frame(DATA, END_STREAM, 2 * turn + 1, b"")[3:] in data:  # the head of the call's message
                peer.send(answers[min(turn, len(answers) - 1)])
                turn += 1

    return behave


def one_after_another(calls: int):
    return answering(*(whole(2 * turn + 1) for turn in range(calls)))


def ask(server: FaultServer, *, calls: int = 1, timeout_s: float = 10.0) -> list[bytes | None]:
    unary = UnaryCalls("/s/m", Endpoint("grpc", "127.0.0.1", server.port), OPTIONS)
    try:
        return [unary.call([b"m"], None, Deadline(timeout_s)) for _ in range(calls)]
    finally:
        unary.close()


def ask_in_a_loop(server: FaultServer, *, calls: int = 1, timeout_s: float = 10.0) -> list[bytes | None]:
    async def main() -> list[bytes | None]:
        unary = AsyncUnaryCalls("/s/m", Endpoint("grpc", "127.0.0.1", server.port), OPTIONS)
        try:
            return [await unary.call([b"m"], None, Deadline(timeout_s)) for _ in range(calls)]
        finally:
            unary.close()
            await asyncio.sleep(0)

    return asyncio.run(main())


both = pytest.mark.parametrize("ask", [ask, ask_in_a_loop])


@both
def test_calls_one_after_another_share_a_connection(ask):
    with FaultServer(one_after_another(3)) as server:
        assert ask(server, calls=3) == [b"abc"] * 3
        assert server.connections == 1


@both
@pytest.mark.parametrize("calls", [1, 2])
def test_a_port_is_taken_for_one_of_http_only_where_it_has_never_answered(ask, calls):
    answers = [answering(whole(1), rest=False)] * (calls - 1)
    with FaultServer(*answers, lambda peer: None) as server:
        with pytest.raises(OSError, match="before an answer") as caught:
            ask(server, calls=calls)
        assert ("is it the server's HTTP port?" in str(caught.value)) == (calls == 1)


@both
def test_an_error_leaves_the_connection_good(ask):
    with FaultServer(answering(whole(1, status="5", message="no such model"), whole(3))) as server:
        with pytest.raises(CallFailed) as caught:
            ask(server)
        assert (caught.value.code, caught.value.words) == ("NOT_FOUND", "no such model")


def test_a_connection_that_was_closed_while_idle_is_replaced():
    with FaultServer(answering(whole(1), rest=False), one_after_another(2)) as server:
        unary = UnaryCalls("/s/m", Endpoint("grpc", "127.0.0.1", server.port), OPTIONS)
        unary.call([b"m"], None, Deadline(10))
        (place,) = unary._pool._idle
        kept = place.connection
        assert kept is not None
        deadline = Deadline(10)
        while kept.is_quiet() and deadline.left_s():
            pass
        assert [unary.call([b"m"], None, Deadline(10)) for _ in range(2)] == [b"abc"] * 2
        unary.close()
        assert server.connections == 2


def test_an_idle_connection_answers_its_server_and_is_closed_once_that_leaves():
    """Between calls nobody reads it but the thread that tends it: a server that is to end waits for that."""
    left = threading.Event()

    def leave_when_idle(peer: Peer) -> None:
        answering(whole(1), rest=False)(peer)
        peer.send(frame(PING, 0, 0, b"12345678"))
        pong = frame(PING, ACK, 0, b"12345678")
        data = b""
        while pong not in data:
            data += peer._connection.recv(1 << 16) or pytest.fail("it was closed")
        peer.send(LEAVING)
        while peer._connection.recv(1 << 16):
            pass
        left.set()

    with FaultServer(leave_when_idle) as server:
        unary = UnaryCalls("/s/m", Endpoint("grpc", "127.0.0.1", server.port), OPTIONS)
        assert unary.call([b"m"], None, Deadline(10)) == b"abc"
        assert left.wait(20)
        unary.close()


def test_what_tends_idle_connections_ends_with_them_and_begins_again():
    class Things:
        left = 2

        def tend(self) -> bool:
            self.left -= 1
            if not self.left:
                done.set()
            return self.left > 0

    tender, done = Tender(every_s=0.001), threading.Event()
    for _ in range(2):
        done.clear()
        tender.add(things := Things())
        assert done.wait(20)
        for thread in threading.enumerate():
            if thread.name == "tritonforge-idle":
                thread.join(20)
        assert things.left == 0


def test_a_connection_of_a_loop_that_was_closed_while_idle_is_replaced():
    async def main(port: int) -> None:
        unary = AsyncUnaryCalls("/s/m", Endpoint("grpc", "127.0.0.1", port), OPTIONS)
        await unary.call([b"m"], None, Deadline(10))
        (kept,) = unary._shared.get()._all
        deadline = Deadline(10)
        while kept.usable and deadline.left_s():
            await asyncio.sleep(0)
        assert [await unary.call([b"m"], None, Deadline(10)) for _ in range(2)] == [b"abc"] * 2
        unary.close()
        await asyncio.sleep(0)

    with FaultServer(answering(whole(1), rest=False), one_after_another(2)) as server:
        asyncio.run(main(server.port))
        assert server.connections == 2


def test_a_connection_that_was_closed_while_its_loop_stood_still_is_replaced():
    leave = threading.Event()

    def answer_then_leave(peer: Peer) -> None:
        answering(whole(1), rest=False)(peer)
        leave.wait(10)

    async def first(unary: AsyncUnaryCalls) -> AsyncGrpcConnection:
        await unary.call([b"m"], None, Deadline(10))
        (kept,) = unary._shared.get()._all
        return kept

    async def close(unary: AsyncUnaryCalls) -> None:
        unary.close()
        await asyncio.sleep(0)

    with (
        FaultServer(answer_then_leave, one_after_another(1)) as server,
        closing(asyncio.new_event_loop()) as loop,
    ):
        unary = AsyncUnaryCalls("/s/m", Endpoint("grpc", "127.0.0.1", server.port), OPTIONS)
        kept = loop.run_until_complete(first(unary))
        leave.set()
        deadline = Deadline(10)
        while not kept.stale and deadline.left_s():
            pass
        assert loop.run_until_complete(unary.call([b"m"], None, Deadline(10))) == b"abc"
        loop.run_until_complete(close(unary))
        assert server.connections == 2


@both
def test_a_call_that_is_dropped_on_a_kept_connection_is_not_made_again(ask):
    with FaultServer(answering(whole(1), b"", rest=False), one_after_another(2)) as server:
        with pytest.raises(Dropped, match="before an answer"):
            ask(server, calls=2)
        assert server.connections == 1


@both
def test_a_call_that_a_leaving_server_has_not_taken_is_made_anew(ask):
    with FaultServer(answering(whole(1), LEAVING, rest=False), one_after_another(1)) as server:
        assert ask(server, calls=2) == [b"abc"] * 2


@both
def test_a_first_call_that_is_dropped_is_not_made_again(ask):
    with FaultServer(answering(b"", rest=False)) as server:
        with pytest.raises(Dropped):
            ask(server)
        assert server.connections == 1


@both
def test_an_answer_that_breaks_off_is_not_asked_for_again(ask):
    with FaultServer(answering(whole(1)[:50], rest=False)) as server:
        with pytest.raises(Garbled, match="in the middle of the answer"):
            ask(server)
        assert server.connections == 1


@both
def test_a_server_that_says_nothing_ends_in_the_deadline(ask):
    with FaultServer(Peer.hold) as server, pytest.raises(TimeoutError):
        ask(server, timeout_s=0.2)


@both
def test_a_server_of_something_else_is_told_apart(ask):
    no_grpc = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    # Held, not closed: a reset, for what was sent and never read, may overtake the answer.
    with (
        FaultServer(lambda peer: (peer.send(no_grpc), peer.hold())) as server,
        pytest.raises(Unsent, match="HTTP port"),
    ):
        ask(server)


def test_calls_at_once_share_few_connections_and_a_cancelled_one_harms_no_other():
    async def main(port: int) -> int:
        unary = AsyncUnaryCalls("/s/m", Endpoint("grpc", "127.0.0.1", port), OPTIONS)
        tasks = [asyncio.ensure_future(unary.call([b"m"], None, Deadline(10))) for _ in range(4)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(answers.pop(1), asyncio.CancelledError)
        unary.close()
        await asyncio.sleep(0)
        return answers.count(b"abc")

    def behave(peer: Peer) -> None:
        peer.send(HELLO)
        seen = b""
        while any(frame(DATA, END_STREAM, stream, b"")[3:] not in seen for stream in (1, 3, 5)):
            seen += peer._connection.recv(1 << 16)
        peer.send(whole(5) + whole(1) + whole(3))
        peer.hold()

    with FaultServer(behave) as server:
        assert asyncio.run(main(server.port)) == 3
        assert server.connections == 1


class Limited:
    """Takes so many calls of a connection at a time, and answers them; notes the most that came at once."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.seen = 0

    def __call__(self, peer: Peer) -> None:
        peer.send(frame(SETTINGS, 0, 0, struct.pack(">HI", 3, self.most)))
        data, waiting = b"", [1]
        while came := peer._connection.recv(1 << 16):
            data += came
            while frame(DATA, END_STREAM, waiting[-1], b"")[3:] in data:
                waiting.append(waiting[-1] + 2)
            self.seen = max(self.seen, len(waiting) - 1)
            if self.most and len(waiting) > 1:
                peer.send(b"".join(whole(stream) for stream in waiting[:-1]))
                del waiting[:-1]


def ask_at_once(port: int, count: int, options: ConnectionOptions = OPTIONS) -> list[bytes | None]:
    async def main() -> list[bytes | None]:
        unary = AsyncUnaryCalls("/s/m", Endpoint("grpc", "127.0.0.1", port), options)
        try:
            return await asyncio.gather(*[unary.call([b"m"], None, Deadline(10)) for _ in range(count)])
        finally:
            unary.close()
            await asyncio.sleep(0)

    return asyncio.run(main())


def test_a_connection_never_has_more_calls_than_its_server_takes():
    limited = Limited(4)
    with FaultServer(limited) as server:
        assert ask_at_once(server.port, 20) == [b"abc"] * 20
    assert limited.seen <= 4


def test_where_no_connection_takes_another_call_it_is_left_to_grpcio():
    async def main(port: int) -> None:
        options = ConnectionOptions(max_connections=1)
        unary = AsyncUnaryCalls("/s/m", Endpoint("grpc", "127.0.0.1", port), options)
        calls = [asyncio.ensure_future(unary.call([b"m"], None, Deadline(10))) for _ in range(2)]
        done, (waiting,) = await asyncio.wait(calls, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        assert [call.result() for call in done] == [None]
        waiting.cancel()
        await asyncio.wait([waiting])
        unary.close()
        await asyncio.sleep(0)

    def take_one(peer: Peer) -> None:
        peer.send(frame(SETTINGS, 0, 0, struct.pack(">HI", 3, 1)))
        peer.hold()

    with FaultServer(take_one) as server:
        asyncio.run(main(server.port))


@both
def test_a_server_that_takes_no_call_of_ours_has_it_from_grpcio(ask):
    with FaultServer(Limited(0)) as server:
        assert ask(server) == [None]


@both
def test_a_call_that_is_refused_is_made_again_or_left_to_grpcio(ask):
    refusal = frame(RST, 0, 1, struct.pack(">I", 7)), frame(RST, 0, 3, struct.pack(">I", 7))
    with FaultServer(answering(*refusal, frame(RST, 0, 5, struct.pack(">I", 7)))) as server:
        assert ask(server) == [None]


def test_a_call_that_is_refused_once_is_made_again_on_the_same_connection():
    with FaultServer(answering(frame(RST, 0, 1, struct.pack(">I", 7)), whole(3))) as server:
        assert ask_in_a_loop(server) == [b"abc"]
        assert server.connections == 1


@both
def test_a_server_without_settings_is_not_sent_any_call(ask):
    seen = []

    def behave(peer: Peer) -> None:
        seen.append(peer._connection.recv(1 << 16))
        peer.hold()

    with FaultServer(behave) as server, pytest.raises(TimeoutError):
        ask(server, timeout_s=0.2)
    assert b"/s/m" not in b"".join(seen)


def test_nobody_there_is_said_and_nothing_was_sent():
    unary = UnaryCalls("/s/m", Endpoint("grpc", "127.0.0.1", free_port()), OPTIONS)
    with pytest.raises(ConnectionRefusedError):
        unary.call([b"m"], None, Deadline(5))
    nowhere = UnaryCalls("/s/m", Endpoint("grpc", "no-such-host.invalid", 1), OPTIONS)
    with pytest.raises(Unsent):
        nowhere.call([b"m"], None, Deadline(20))


def test_what_is_rare_or_hard_is_left_to_grpcio():
    plain = parse_url("grpc://h:1")
    assert takes(OPTIONS)
    assert not takes(ConnectionOptions(compression="gzip"))
    assert not takes(ConnectionOptions(keepalive_s=5))
    unary = UnaryCalls("/s/m", plain, OPTIONS)
    assert unary.call([cast("bytes", range(1 << 32))], None, Deadline(5)) is None  # a message's size has 32 bits
