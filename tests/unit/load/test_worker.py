"""Worker processes against servers that misbehave: plain sockets in this process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tritonforge.load import LoadFailed
from tritonforge.load.clock import NS, now_ns
from tritonforge.load.job import Job, Payload, Tally, Target
from tritonforge.load.merge import merge_tallies
from tritonforge.load.schedule import Schedule
from tritonforge.load.workers import Workers

REQUEST = b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
Answer = Callable[[socket.socket, int], bool]


@contextmanager
def serving(answer: Answer) -> Iterator[int]:
    """Answer each request of each connection by a function, which says whether the connection goes on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        threads = [threading.Thread(target=_accept, args=(listener, answer), daemon=True)]
        threads[0].start()
        yield int(listener.getsockname()[1])


def _accept(listener: socket.socket, answer: Answer) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_converse, args=(connection, answer), daemon=True).start()


def _converse(connection: socket.socket, answer: Answer) -> None:
    with connection:
        number = 0
        try:
            while connection.recv(len(REQUEST), socket.MSG_WAITALL):
                number += 1
                if not answer(connection, number):
                    return
        except OSError:
            return


def run(port: int, **options: object) -> Tally:
    """Run a job in one process until it ends by itself; give what it counted in all windows."""
    start = now_ns() + NS // 10
    values = {"payloads": (Payload(REQUEST),), "max_windows": 1 << 30, "concurrency": 2, "requests": 60} | options
    target = Target("127.0.0.1", port)
    job = Job(target=target, start_ns=start, windows_ns=start, window_ns=NS // 5, **values)  # type: ignore[arg-type]
    tallies: list[Tally] = []
    deadline = now_ns() + 60 * NS
    with Workers(1) as workers:
        workers.start([job])
        while workers.running and now_ns() < deadline:
            tally = workers.next_tally(0.1)
            if tally is not None:
                tallies.append(tally)
        workers.stop()
    return merge_tallies(tallies)


@pytest.mark.parametrize("whole", [PLAIN, CHUNKED, PLAIN.replace(b"Content-Length", b"content-length")])
def test_answers_are_read_however_they_come_in_pieces(whole: bytes) -> None:
    def answer(connection: socket.socket, number: int) -> bool:
        place = number % len(whole)
        for part in (whole[:place], whole[place:]):
            connection.sendall(part)
        return True

    with serving(answer) as port:
        tally = run(port)
    assert (tally.latency.count, tally.errors) == (60, {})


def test_a_connection_that_breaks_fails_its_request_and_is_made_anew() -> None:
    def answer(connection: socket.socket, number: int) -> bool:
        if number == 10:
            return False
        connection.sendall(PLAIN)
        return True

    with serving(answer) as port:
        tally = run(port, concurrency=1)
    assert tally.latency.count == 54
    assert tally.errors == {"connection": 6}


def test_a_request_without_an_answer_ends_by_the_timeout() -> None:
    def answer(connection: socket.socket, number: int) -> bool:
        if number != 10:
            connection.sendall(PLAIN)
        return True

    with serving(answer) as port:
        tally = run(port, concurrency=1, timeout_s=0.2, requests=30)
    assert tally.latency.count == 27
    assert tally.errors == {"timeout": 3}


@pytest.mark.parametrize("status", [b"HTTP/1.1 503 Busy\r\nContent-Length: 16\r\n\r\n"])
def test_a_refusal_has_the_servers_words(status: bytes) -> None:
    def answer(connection: socket.socket, number: int) -> bool:
        connection.sendall(status + b'{"error": "full"}'[:16] if number % 2 else PLAIN)
        return True

    with serving(answer) as port:
        tally = run(port, concurrency=1, requests=20)
    assert tally.errors == {"HTTP 503": 10}


def test_a_schedule_is_sent_to_its_end() -> None:
    def answer(connection: socket.socket, _number: int) -> bool:
        connection.sendall(PLAIN)
        return True

    schedule = Schedule(1, times_s=tuple(number / 100 for number in range(20)))
    with serving(answer) as port:
        tally = run(port, concurrency=0, schedule=schedule, max_in_flight=4, requests=None)
    assert (tally.latency.count, tally.errors) == (20, {})
    assert tally.late.count == 20


def test_a_server_that_is_not_there_ends_the_job() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    with pytest.raises(LoadFailed, match="ConnectionRefused"):
        run(port)
