"""Which connections of another process are closed: those on which nothing is under way."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tritonforge.server.guard.idle_connections import QUIET_MS, close_idle

SERVER = """
import select, socket
listener = socket.create_server(("127.0.0.1", 0))
poll, clients = select.epoll(), {}
poll.register(listener, select.EPOLLIN)
print(listener.getsockname()[1], flush=True)
while True:
    for descriptor, events in poll.poll():
        if descriptor == listener.fileno():
            client, _ = listener.accept()
            client.setblocking(False)
            clients[client.fileno()] = client
            poll.register(client, select.EPOLLIN)
        elif events & select.EPOLLIN:
            said = clients[descriptor].recv(100)
            if not said:
                poll.unregister(descriptor)
                clients.pop(descriptor).close()
            elif said == b"compute":
                poll.unregister(descriptor)
            elif said == b"answer":
                clients[descriptor].send(b"answered")
            elif said == b"write":
                try:
                    while True:
                        clients[descriptor].send(bytes(1 << 20))
                except BlockingIOError:
                    poll.modify(descriptor, select.EPOLLIN | select.EPOLLOUT)
"""


@contextmanager
def serving() -> Iterator[tuple[int, int]]:
    """Run a server that does what it is told, and give its process id and port."""
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.pid, int(server.stdout.readline())
        finally:
            server.kill()


def closed(connection: socket.socket) -> bool:
    """Tell whether the other side has closed a connection; take what it has sent."""
    connection.setblocking(False)
    try:
        while connection.recv(1 << 10):
            pass
    except BlockingIOError:
        return False
    return True


@pytest.mark.parametrize("quiet_ms", [QUIET_MS, 0])
def test_only_connections_with_nothing_under_way_are_closed(quiet_ms: int) -> None:
    """Not those that a request has come in on, or a part of one, nor those on which an answer is being written."""
    with serving() as (pid, port), ExitStack() as stack:
        words = ("", "answer", "compute", "write", "half a request")
        opened = {word: stack.enter_context(socket.create_connection(("127.0.0.1", port))) for word in words}
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        elsewhere = stack.enter_context(socket.create_connection(listener.getsockname()))
        for word, connection in opened.items():
            connection.sendall(word.encode())
        assert opened["answer"].recv(100) == b"answered"
        deadline = time.monotonic() + 20
        while not (closed(opened[""]) and closed(opened["answer"])):
            assert time.monotonic() < deadline
            close_idle(pid, port, quiet_ms=quiet_ms)
            time.sleep(0.05)
        close_idle(pid, port, quiet_ms=quiet_ms)
        assert [word for word in ("compute", "half a request") if closed(opened[word])] == []
        assert opened["write"].recv(1) == b"\0"
        assert not closed(elsewhere)


def test_a_connection_that_is_called_on_all_the_time_is_closed_between_two_requests() -> None:
    """Its last answer has come whole, whether the client has confirmed it or not."""
    with serving() as (pid, port), socket.create_connection(("127.0.0.1", port)) as connection:
        deadline = time.monotonic() + 20
        while not closed(connection):
            assert time.monotonic() < deadline
            connection.sendall(b"answer")
            connection.setblocking(True)
            assert connection.recv(100) == b"answered"
            close_idle(pid, port, quiet_ms=0)


def test_a_process_that_is_gone_is_told() -> None:
    with serving() as (pid, port):
        pass
    with pytest.raises(OSError, match=str(pid)):
        close_idle(pid, port)
