"""A load starts once all of its processes have their connections."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from tritonforge.load import LoadFailed
from tritonforge.load.figures.recorder import Recorder
from tritonforge.load.links.dial import connect_all, disconnect
from tritonforge.load.links.lane import Lane
from tritonforge.load.pacing.clock import NS, now_ns
from tritonforge.load.pacing.drive import Drive
from tritonforge.load.workers.job import Job, Payload, Start, Target
from tritonforge.load.workers.parent import Workers

SETTINGS = b"\0\0\0\4\0\0\0\0\0"
MESSAGE = b"the request"


def job(port: int, method: str = "/a.B/C", lanes: int = 1) -> Job:
    return Job(Target("127.0.0.1", port, method), (Payload(MESSAGE),), NS, 1, lanes)


def asked(connection: socket.socket, timeout_s: float) -> bool:
    """Tell whether a request comes."""
    connection.settimeout(timeout_s)
    found = bytearray()
    try:
        while MESSAGE not in found:
            if not (data := connection.recv(65536)):
                return False
            found += data
    except TimeoutError:
        return False
    return True


def test_no_process_sends_before_all_are_connected() -> None:
    """The second one's connection lacks the server's settings for a while."""
    told: list[bool] = []

    def serve(listener: socket.socket) -> None:
        first, second = (listener.accept()[0] for _ in range(2))
        with first, second:
            first.sendall(SETTINGS)
            told.append(asked(first, 0.3))
            second.sendall(SETTINGS)
            told.extend(asked(each, 30) for each in (first, second))

    with socket.create_server(("127.0.0.1", 0)) as listener, Workers(2) as workers:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        workers.wait_ready()
        workers.connect([job(listener.getsockname()[1])] * 2)
        start = now_ns()
        workers.start(Start(start, start))
        thread.join(60)
        workers.stop()
    assert told == [False, True, True]


def test_processes_that_wait_are_stopped_where_another_has_no_connection() -> None:
    """And take the next job."""
    with socket.create_server(("127.0.0.1", 0)) as silent, Workers(2) as workers:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            nobody = closed.getsockname()[1]
        workers.wait_ready()
        for _ in range(2):
            with pytest.raises(LoadFailed, match="ConnectionRefused"):
                workers.connect([job(silent.getsockname()[1]), job(nobody)])
            workers.stop()
            assert not workers.running


def test_a_server_that_takes_no_more_connections_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tritonforge.load.links.dial._PATIENCE_S", 0.2)
    lanes = [Lane() for _ in range(9)]

    async def connect(port: int) -> None:
        recorder = Recorder(NS, id)
        wanted = job(port, method="", lanes=len(lanes))
        try:
            await connect_all(wanted, Drive(wanted, recorder, id), lanes, recorder)
        finally:
            disconnect(lanes)
            await asyncio.sleep(0)  # in which transports are closed

    with (
        closing(socket.create_server(("127.0.0.1", 0), backlog=1)) as listener,
        pytest.raises(LoadFailed, match=r"of 9 requests at a time [1-8] have a connection, .* max_in_flight"),
    ):
        asyncio.run(connect(listener.getsockname()[1]))


@pytest.mark.parametrize("checked", [True, False])
def test_what_reads_checked_answers_is_there_before_the_load(checked: bool) -> None:
    """Protobuf takes long to import: amid the load, that would be in latencies. Who checks nothing doesn't need it."""
    expected = {"y": np.zeros(1, np.float32)} if checked else None

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(SETTINGS)
            asked(connection, 30)

    with socket.create_server(("127.0.0.1", 0)) as listener, Workers(1) as workers:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        workers.wait_ready()
        target = Target("127.0.0.1", listener.getsockname()[1], "/a.B/C")
        workers.connect([Job(target, (Payload(MESSAGE, expected=expected),), NS, 1, 1)])
        loaded = Path(f"/proc/{workers._processes[0].pid}/maps").read_text(encoding="utf-8")
        workers.stop()
    assert ("/google/_upb/" in loaded) is checked
