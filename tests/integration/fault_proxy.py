"""A TCP proxy before a real server that delays, cuts, resets, half-closes, and answers for it, as a test says."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

__all__ = ["Fault", "Proxy"]

Fault = Callable[["Proxy", socket.socket, bytes], "bytes | None"]
"""What becomes of bytes on their way back: others, or None to end the connection. Gets the client's side."""

_QUIET_S = 0.3
"""How long a server must have said nothing until its side of a connection is closed."""


class Proxy:
    """Listens on a free port and passes bytes on, both ways; `fault` sees those of the server first."""

    def __init__(self, port: int) -> None:
        self.fault: Fault | None = None
        self.connections = self.open = 0
        # of clients: ever made, and open now
        self.requests = 0
        # chunks of bytes that came from clients
        self.deaf = False
        """Whether nothing more is read of what clients send, until the test is over."""
        self._upstream = port
        self._stopped = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopped.set()
        for each in (self._listener, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def sockets(self) -> set[socket.socket]:
        """Give the sockets of the connections that were made so far, both sides'."""
        return set(self._sockets)

    def hold(self) -> None:
        """Say nothing until the fault, or the test, is over."""
        fault = self.fault
        while self.fault is fault and not self._stopped.wait(0.01):
            pass

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                self.open += 1
                self._sockets.add(client)
                server = socket.create_connection(("127.0.0.1", self._upstream))
                self._sockets.add(server)
                gone = threading.Event()
                threading.Thread(target=self._pass_on, args=(client, server, gone), daemon=True).start()
                threading.Thread(target=self._pass_back, args=(client, server, gone), daemon=True).start()

    def _pass_on(self, client: socket.socket, server: socket.socket, gone: threading.Event) -> None:
        """Pass on what the client sends, until it, or the server, has ended the connection."""
        with suppress(OSError):
            while data := client.recv(1 << 16):
                self.requests += 1
                while self.deaf and not self._stopped.wait(0.01):
                    pass
                server.sendall(data)
        gone.set()
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
        self.open -= 1

    def _pass_back(self, client: socket.socket, server: socket.socket, gone: threading.Event) -> None:
        """Pass back what the server answers, or what the fault makes of it.

        Where the client is gone, the server is let finish: Triton 24.10 can crash on calls that are broken off while
        they run (its issue 8034), and what is tested here is the client.
        """
        server.settimeout(_QUIET_S)
        with suppress(OSError):
            while True:
                try:
                    data = server.recv(1 << 16)
                except TimeoutError:
                    if gone.is_set():
                        break
                    continue
                if not data:
                    break
                if not gone.is_set() and not self._answer(client, data):
                    gone.set()
                    with suppress(OSError):
                        client.shutdown(socket.SHUT_RDWR)
        for each in (client, server):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _answer(self, client: socket.socket, data: bytes) -> bool:
        with suppress(OSError):
            passed = data if self.fault is None else self.fault(self, client, data)
            if passed is not None:
                client.sendall(passed)
                return True
        return False
