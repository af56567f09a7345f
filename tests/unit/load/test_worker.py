"""Worker processes against servers that misbehave: plain sockets in this process."""

from __future__ import annotations

import errno
import os
import resource
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tritonforge.load import GeneratorGone, LoadFailed
from tritonforge.load.figures.merge import merge_tallies
from tritonforge.load.pacing.clock import NS, now_ns
from tritonforge.load.pacing.schedule import Schedule
from tritonforge.load.workers.job import Connected, Job, Payload, Start, Tally, Target
from tritonforge.load.workers.parent import Workers

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


def begin(workers: Workers, *jobs: Job, lead: int = 0) -> None:
    """Start jobs; their windows begin after a lead.

    Below 0: an event loop's timers may ring some ms early, and requests of that time count, too.
    """
    workers.connect(list(jobs))
    start = now_ns() + NS // 20
    workers.start(Start(start, start + lead))


def run(port: int, **options: object) -> Tally:
    """Run a job in one process until it ends by itself; give what it counted in all windows."""
    values = {"payloads": (Payload(REQUEST),), "max_windows": 1 << 30, "concurrency": 2, "requests": 60} | options
    target = Target("127.0.0.1", port)
    tallies: list[Tally] = []
    deadline = now_ns() + 60 * NS
    with Workers(1) as workers:
        workers.wait_ready()
        begin(workers, Job(target, window_ns=NS // 5, **values), lead=-NS // 20)  # type: ignore[arg-type]
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


CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
OLD = b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"
UNENDED = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}"
CLOSING_CHUNKED = CHUNKED.replace(b"OK\r\n", b"OK\r\nconnection: Close\r\n")
EVENTS = (
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
STREAM = EVENTS + b"a\r\ndata: {}\n\n\r\n0\r\n\r\n"


@pytest.mark.parametrize("whole", [CLOSING, OLD, UNENDED, CLOSING_CHUNKED, STREAM])
@pytest.mark.parametrize("concurrency", [2, 0])
def test_a_server_that_closes_after_each_answer_loses_none(whole: bytes, concurrency: int) -> None:
    def answer(connection: socket.socket, _number: int) -> bool:
        connection.sendall(whole)
        return False

    schedule = None if concurrency else Schedule(1, times_s=tuple(number / 1000 for number in range(60)))
    payload = Payload(REQUEST, stream=whole is STREAM)
    with serving(answer) as port:
        tally = run(port, concurrency=concurrency, schedule=schedule, max_in_flight=2, payloads=(payload,))
    assert (tally.latency.count, tally.errors) == (60, {})
    # The connection that is timed is so again after each answer.
    assert whole is STREAM or min(tally.sent, tally.received) > 1


def test_a_connection_of_http_1_0_that_is_kept_is_used_again() -> None:
    used: list[int] = []

    def answer(connection: socket.socket, number: int) -> bool:
        used.append(number)
        connection.sendall(OLD.replace(b"OK\r\n", b"OK\r\nConnection: keep-alive\r\n"))
        return True

    with serving(answer) as port:
        tally = run(port, concurrency=1)
    assert (tally.latency.count, used) == (60, list(range(1, 61)))


@pytest.mark.parametrize("pause", [False, True])
def test_interim_answers_are_passed_over(pause: bool) -> None:
    def answer(connection: socket.socket, _number: int) -> bool:
        interim = b"HTTP/1.1 100 Continue\r\n\r\n"
        for part in (interim, PLAIN) if pause else (interim + interim + PLAIN,):
            connection.sendall(part)
        return True

    with serving(answer) as port:
        tally = run(port)
    assert (tally.latency.count, tally.errors) == (60, {})


@pytest.mark.parametrize(
    ("whole", "kind"),
    [
        (PLAIN.replace(b": 2", b": -3"), "malformed answer"),
        (PLAIN.replace(b": 2", b": two"), "malformed answer"),
        (CHUNKED.replace(b"\r\n2\r\n", b"\r\nyes\r\n"), "malformed answer"),
        (EVENTS + b"yes\r\n", "malformed answer"),
        (b"KHT/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "not an HTTP answer"),
        (b"\0" * 100, "not an HTTP answer"),
        (PLAIN.replace(b": 2", b": " + b"9" * 5000), "malformed answer"),
        (PLAIN.replace(b"\r\n\r\n", b"\r\n" + b"a: b\r\n" * (1 << 18)), "malformed answer"),
    ],
)
def test_an_answer_that_is_none_is_an_error_at_once(whole: bytes, kind: str) -> None:
    """It is the tenth of its connection, which is then made anew."""

    def answer(connection: socket.socket, number: int) -> bool:
        connection.sendall(whole if number == 10 else PLAIN)
        return True

    with serving(answer) as port:
        tally = run(port, concurrency=1, payloads=(Payload(REQUEST, stream=whole.startswith(EVENTS)),))
    assert (tally.latency.count, tally.errors) == (54, {kind: 6})


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_an_answer_that_has_no_body_is_an_error_at_once(status: str) -> None:
    def answer(connection: socket.socket, _number: int) -> bool:
        connection.sendall(f"HTTP/1.1 {status}\r\n\r\n".encode())
        return True

    with serving(answer) as port:
        tally = run(port, requests=20)
    assert (tally.latency.count, tally.errors) == (0, {f"HTTP {status[:3]}": 20})


def test_what_is_under_way_at_the_end_is_waited_for() -> None:
    """Not counted, but answered: a gRPC call that is broken off can crash Triton 24.10."""
    closed: list[int] = []

    def answer(connection: socket.socket, number: int) -> bool:
        if select.select([connection], [], [], 0.07)[0]:  # nothing comes before the answer, but its client's end
            closed.append(number)
            return False
        connection.sendall(PLAIN)
        return True

    with serving(answer) as port:
        tally = run(port, concurrency=4, requests=None, max_windows=1)
    assert tally.errors == {}
    assert closed == []


@pytest.mark.parametrize(
    ("closes", "timeout_s", "failed"),
    [
        (False, 30.0, []),
        (False, 0.5, ["timeout: no answer within 0.5 s"]),
        (True, 30.0, ["connection: the server closed the connection"]),
    ],
    ids=["unanswered", "timeout", "closed"],
)
def test_what_has_no_answer_at_the_end_is_told_by_its_age_or_by_what_ended_it(
    closes: bool, timeout_s: float, failed: list[str]
) -> None:
    """One of two connections is never answered, or is closed a while after the end is told."""
    told, took, done = threading.Event(), threading.Lock(), threading.Event()

    def answer(connection: socket.socket, number: int) -> bool:
        if number == 1 and took.acquire(blocking=False):
            told.wait(30)
            time.sleep(1.0 if closes else 0.05)  # the end is to reach the other process before that
            return not closes and done.wait(30)
        connection.sendall(PLAIN)
        return True

    with serving(answer) as port, Workers(1) as workers:
        workers.wait_ready()
        target = Target("127.0.0.1", port)
        job = Job(target, (Payload(REQUEST),), NS // 4, 1, 2, timeout_s=timeout_s, bounds_ns=(1,))
        begin(workers, job, lead=-NS // 20)
        tally = workers.next_tally(30)
        told.set()
        workers.stop()
        done.set()
    assert tally is not None
    assert (tally.latency.count > 0, tally.errors, tally.overdue[1] > 0) == (True, {}, True)
    assert workers.failed == failed
    assert [age >= NS // 20 for age in workers.unanswered_ns] == ([] if failed else [True])


@pytest.mark.parametrize("options", [{"concurrency": 12}, {"concurrency": 0, "schedule": Schedule(1000)}], ids=str)
@pytest.mark.parametrize("requests", [5, 60])
def test_no_more_requests_are_sent_than_are_asked_for(options: dict[str, object], requests: int) -> None:
    """Also where connections break: the request that was on one is one of them."""
    asked: list[int] = []

    def answer(connection: socket.socket, number: int) -> bool:
        asked.append(number)
        turn = len(asked)
        if turn % 9 == 0:
            return False
        connection.sendall(CLOSING if turn % 7 == 0 else PLAIN)
        return turn % 7 > 0

    with serving(answer) as port:
        tally = run(port, requests=requests, max_in_flight=12, **options)
    assert tally.latency.count + sum(tally.errors.values()) == requests
    assert len(asked) == requests


def test_requests_that_end_before_the_windows_are_none_of_those_asked_for() -> None:
    asked: list[int] = []

    def answer(connection: socket.socket, number: int) -> bool:
        asked.append(number)
        time.sleep(0.01)
        connection.sendall(PLAIN)
        return True

    with serving(answer) as port, Workers(1) as workers:
        workers.wait_ready()
        job = Job(Target("127.0.0.1", port), (Payload(REQUEST),), NS, 1 << 30, 4, requests=20)
        begin(workers, job, lead=NS // 2)
        tally = workers.next_tally(30)
        workers.stop()
    assert tally is not None
    assert tally.latency.count == 20
    assert len(asked) > 24


@pytest.mark.parametrize("status", [b"HTTP/1.1 503 Busy\r\nContent-Length: 16\r\n\r\n"])
def test_a_refusal_has_the_servers_words(status: bytes) -> None:
    def answer(connection: socket.socket, number: int) -> bool:
        connection.sendall(status + b'{"error": "full"}'[:16] if number % 2 else PLAIN)
        return True

    with serving(answer) as port:
        tally = run(port, concurrency=1, requests=20)
    assert tally.errors == {"HTTP 503": 10}


def test_a_closed_loop_is_ramped_up_one_by_one() -> None:
    """None of four requests in flight begins before its part of the ramp is over."""
    first: list[int] = []
    all_begun = threading.Event()

    def answer(connection: socket.socket, number: int) -> bool:
        if number == 1:
            first.append(now_ns())
            if len(first) == 4:
                all_begun.set()
        all_begun.wait(10)
        connection.sendall(PLAIN)
        return True

    with serving(answer) as port:
        before = now_ns()
        tally = run(port, concurrency=4, ramp_s=0.4)
    assert (tally.latency.count, len(first)) == (60, 4)
    assert all(at >= before + part * NS // 10 for part, at in enumerate(sorted(first)))


def test_a_schedule_is_sent_to_its_end() -> None:
    def answer(connection: socket.socket, _number: int) -> bool:
        connection.sendall(PLAIN)
        return True

    schedule = Schedule(1, times_s=tuple(number / 100 for number in range(20)))
    with serving(answer) as port:
        tally = run(port, concurrency=0, schedule=schedule, max_in_flight=4, requests=None)
    assert (tally.latency.count, tally.errors) == (20, {})
    assert tally.late.count == 20


def test_few_requests_of_an_open_loop_are_timed() -> None:
    def answer(connection: socket.socket, _number: int) -> bool:
        connection.sendall(PLAIN)
        return True

    schedule = Schedule(1, times_s=tuple(number / 100 for number in range(20)))
    with serving(answer) as port:
        tally = run(port, concurrency=0, schedule=schedule, max_in_flight=64, requests=None)
    assert min(tally.sent, tally.received) > 1


def test_a_rate_that_is_out_of_reach_lets_answers_in() -> None:
    """More is due at any moment than can be sent: answers are read all the same, and the end comes."""

    def answer(connection: socket.socket, _number: int) -> bool:
        connection.sendall(PLAIN)
        return True

    with serving(answer) as port:
        tally = run(port, concurrency=0, schedule=Schedule(1e9), max_in_flight=4, requests=100)
    assert tally.latency.count == 100
    assert tally.held_back > 0


def test_a_worker_whose_parent_is_gone_ends_without_words() -> None:
    """In the middle of a job, too: its tallies have nowhere to go."""
    import subprocess
    import sys

    from tritonforge.load.workers.pipe import read_message, write_message

    command = [sys.executable, "-m", "tritonforge.load.workers.worker"]
    asked = threading.Event()

    def answer(connection: socket.socket, _number: int) -> bool:
        asked.set()
        connection.sendall(PLAIN)
        return True

    with (
        serving(answer) as port,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as worker,
    ):
        assert worker.stdin is not None
        assert worker.stdout is not None
        assert worker.stderr is not None
        read_message(worker.stdout)
        write_message(worker.stdin, Job(Target("127.0.0.1", port), (Payload(REQUEST),), NS // 20, 1 << 30, 1))
        assert read_message(worker.stdout) == Connected()
        write_message(worker.stdin, Start(now_ns(), now_ns()))
        assert asked.wait(30)
        worker.stdout.close()
        worker.stdin.close()
        assert worker.wait(30) == 0
        assert worker.stderr.read() == b""


def test_a_server_that_is_not_there_ends_the_job() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    with pytest.raises(LoadFailed, match="ConnectionRefused"):
        run(port)


@pytest.mark.parametrize("options", [{}, {"requests": None, "max_windows": 3}])
def test_a_mistake_of_the_generators_own_ends_the_job_with_its_reason(options: dict[str, object]) -> None:
    """Planted: what is expected of the answers is none of what a payload can have."""
    body = b'{"outputs": []}'

    def answer(connection: socket.socket, number: int) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        return True

    planted = Payload(REQUEST, expected=5)  # type: ignore[arg-type]
    with serving(answer) as port, pytest.raises(LoadFailed, match=r"answers\.py(?s:.*)AttributeError"):
        run(port, payloads=(planted,), **options)


def test_requests_that_cannot_be_written_down_are_counted_all_the_same(tmp_path: Path) -> None:
    """Of a whole disk, or here of the greatest size of a file."""

    def answer(connection: socket.socket, _number: int) -> bool:
        connection.sendall(PLAIN)
        return True

    with serving(answer) as port, Workers(1) as workers:
        workers.wait_ready()
        resource.prlimit(workers._processes[0].pid, resource.RLIMIT_FSIZE, (16, 16))
        target, trace = Target("127.0.0.1", port), str(tmp_path / "trace")
        begin(workers, Job(target, (Payload(REQUEST),), NS // 5, 1 << 30, 1, requests=60, trace=trace))
        tallies, deadline = list[Tally](), now_ns() + 60 * NS
        while workers.running and now_ns() < deadline:
            tally = workers.next_tally(0.1)
            if tally is not None:
                tallies.append(tally)
        workers.stop()
        assert merge_tallies(tallies).latency.count == 60
        assert workers.untraced is not None
        assert workers.untraced.errno == errno.EFBIG


def test_a_signal_to_all_processes_of_a_group_is_for_the_parent() -> None:
    """It is the parent that has them stop, so that their figures aren't lost."""

    def answer(connection: socket.socket, number: int) -> bool:
        if number == 5:
            os.kill(workers._processes[0].pid, signal.SIGTERM)
        connection.sendall(PLAIN)
        return True

    with serving(answer) as port, Workers(1) as workers:
        workers.wait_ready()
        begin(workers, Job(Target("127.0.0.1", port), (Payload(REQUEST),), NS, 1 << 30, 1, requests=60))
        tally = workers.next_tally(30)
        workers.stop()
    assert tally is not None
    assert tally.latency.count == 60


@pytest.mark.parametrize("processes", [1, 2])
def test_a_worker_that_is_killed_is_told_at_once(processes: int) -> None:
    """The others are stopped, and a job that comes after it is refused alike."""

    def answer(connection: socket.socket, number: int) -> bool:
        if number == 5:
            os.kill(workers._processes[0].pid, signal.SIGKILL)
        connection.sendall(PLAIN)
        return True

    killed = r"a process of the load generator was killed by signal 9 \(SIGKILL\)"
    with serving(answer) as port, Workers(processes) as workers:
        workers.wait_ready()
        jobs = [Job(Target("127.0.0.1", port), (Payload(REQUEST),), 600 * NS, 1 << 30, 1)] * processes
        begin(workers, *jobs)
        with pytest.raises(GeneratorGone, match=killed):
            workers.next_tally(60)
        workers.stop(60)
        assert not workers.running
        with pytest.raises(GeneratorGone, match=killed):
            workers.connect(jobs)
