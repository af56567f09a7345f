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


class Proxy:
    """Listens on a free port and passes bytes on, both ways; `fault` sees those of the server first."""

    def __init__(self, port: int) -> None:
        self.fault: Fault | None = None
        self.connections = self.open = 0
        # of clients: ever made, and open now
        self.requests = 0
        # chunks of bytes that came from clients
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
                server = socket.create_connection(("127.0.0.1", self._upstream))
                self._sockets |= {client, server}
                threading.Thread(target=self._pass, args=(client, server, False), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, True), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, back: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                passed: bytes | None = data
                if back and self.fault is not None:
                    passed = self.fault(self, target, data)
                elif not back:
                    self.requests += 1
                if passed is None:
                    break
                target.sendall(passed)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        if not back:
            self.open -= 1
