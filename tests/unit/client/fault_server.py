"""A TCP server that misbehaves as it is told: what it does with each connection is a function of the test."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

import numpy as np

Behaviour = Callable[["Peer"], None]

ANSWER_BODY = json.dumps(
    {
        "model_name": "m",
        "model_version": "3",
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [2], "parameters": {"binary_data_size": 8}}],
    }
).encode()
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nInference-Header-Content-Length: %d\r\n"
    b"Content-Length: %d\r\n\r\n"
    % (len(ANSWER_BODY), len(ANSWER_BODY) + 8)
    + ANSWER_BODY
    + np.array([1, 2], "<f4").tobytes()
)
"""A whole and correct answer to an inference: y = [1, 2]."""


class Peer:
    """The server's side of one connection."""

    def __init__(self, connection: socket.socket, stopped: threading.Event) -> None:
        self._connection = connection
        self._stopped = stopped

    def request(self) -> bytes:
        """Read one whole request; empty where the client has closed."""
        data = b""
        while b"\r\n\r\n" not in data:
            came = self._connection.recv(65536)
            if not came:
                return b""
            data += came
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += self._connection.recv(65536)
        return head + b"\r\n\r\n" + body

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def hold(self) -> None:
        """Keep the connection open, saying nothing, until the test is over."""
        self._stopped.wait()

    def reset(self) -> None:
        """Close with a reset rather than an end of the stream."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._connection.close()


class FaultServer:
    """Listens on a free port. The n-th connection is given to the n-th behaviour; further ones to the last."""

    def __init__(self, *behaviours: Behaviour) -> None:
        self._behaviours = behaviours
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.connections = 0

    def __enter__(self) -> FaultServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            behaviour = self._behaviours[min(self.connections, len(self._behaviours) - 1)]
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection, behaviour))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket, behaviour: Behaviour) -> None:
        with connection:
            connection.settimeout(10)
            with suppress(OSError):  # the client gave up, as many tests want
                behaviour(Peer(connection, self._stopped))


def answer_all(peer: Peer) -> None:
    """Answer each request on the connection correctly."""
    while peer.request():
        peer.send(ANSWER)


def then_close(data: bytes) -> Behaviour:
    """Answer the first request with these bytes, then close."""

    def behave(peer: Peer) -> None:
        peer.request()
        peer.send(data)

    return behave


def then_hold(data: bytes) -> Behaviour:
    """Answer the first request with these bytes, then keep the connection open."""

    def behave(peer: Peer) -> None:
        peer.request()
        peer.send(data)
        peer.hold()

    return behave


def free_port() -> int:
    """Find a port at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
