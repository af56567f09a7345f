"""One kept-alive HTTP/1.1 connection: a request's bytes out, a response in, nothing past the deadline."""

from __future__ import annotations

import select
import socket
import ssl
import struct
import time
from collections import deque
from collections.abc import Generator, Sequence

from tritonforge.client.connections.resolving import resolve
from tritonforge.client.connections.sockets import NO_TLS, connecting, is_refusal, keep_alive
from tritonforge.client.deadline import Deadline
from tritonforge.client.http.answer import Answer, Dropped, Unsent, read_answer, read_at_once, scratch_memory
from tritonforge.client.message import Buffer
from tritonforge.client.options import ConnectionOptions
from tritonforge.client.result import Result
from tritonforge.client.tensors.usual import Usual
from tritonforge.client.url import Endpoint

__all__ = ["Connection", "Route", "packets", "route_to"]

_JOIN_BELOW = 1 << 16  # up to here a copy costs less than another packet
_MOST_PIECES = 1024  # of one system call: IOV_MAX
_PIECES_OF_TLS = 8  # which takes one buffer, of which it sends 16 KB at a time
_PATIENCE_S = 1  # how long the kernel waits for bytes by itself: one system call where a poll before it makes two


class Route:
    """Where connections of a pool lead, and over what."""

    __slots__ = ("answered", "context", "host", "keepalive_s", "port", "server_name")

    def __init__(
        self,
        host: str,
        port: int,
        *,
        context: ssl.SSLContext | None = None,
        server_name: str = "",
        keepalive_s: float = 0.0,
    ) -> None:
        self.host, self.port = host, port
        self.context, self.server_name = context, server_name or host
        self.keepalive_s = keepalive_s
        self.answered = False
        """Whether what listens there has ever answered: then it speaks what is spoken here."""


def route_to(endpoint: Endpoint, options: ConnectionOptions, context: ssl.SSLContext | None) -> Route:
    """Give the route to a server, over TLS where there is a context."""
    name = options.tls.server_name if options.tls else ""
    return Route(endpoint.host, endpoint.port, context=context, server_name=name, keepalive_s=options.keepalive_s)


class Connection:
    """A connected socket. After any error it is of no more use: close it."""

    __slots__ = ("_arrivals", "_departures", "_plain", "_scratch", "_socket")

    def __init__(self, route: Route, deadline: Deadline) -> None:
        """Connect to the first address of the host that answers. Raise OSError, or TimeoutError past the deadline."""
        with connecting(deadline) as limit:
            connected = _open(route, limit)
        self._socket = connected
        self._plain = not isinstance(connected, ssl.SSLSocket)
        self._scratch = scratch_memory()
        self._arrivals, self._departures = select.poll(), select.poll()
        self._arrivals.register(connected, select.POLLIN)
        self._departures.register(connected, select.POLLOUT)

    def is_quiet(self) -> bool:
        """Tell whether nothing has come since the last answer: neither the peer's close nor stray bytes."""
        if not self._arrivals.poll(0):
            return True
        if self._plain:
            return False
        try:
            self._socket.recv(1)
        except ssl.SSLWantReadError:
            return True  # what came is TLS's own: a session ticket, which a server may send at any time
        except OSError:
            pass
        return False

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def exchange(self, parts: Sequence[Buffer], deadline: Deadline) -> Answer:
        """Send a request and read the answer.

        Raise Dropped, another OSError, Garbled, or TimeoutError.
        """
        refused: OSError | None = None
        try:
            for packet in parts if len(parts) == 1 else packets(parts):
                self.send(packet, deadline)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError) as error:
            refused = error  # a server that refuses a large body answers and closes before it has read all
        return self._answer(deadline, refused)

    def exchange_usual(self, request: bytes, usual: Usual, deadline: Deadline) -> Answer | Result:
        """Send a small request and read the answer: the result of the usual one. Raise what `exchange` raises.

        As in `calls.fast_path`, what is common is here in one piece.
        """
        if not self._plain or deadline.at - time.monotonic() <= _PATIENCE_S:
            return self.exchange((request,), deadline)
        try:
            sent = self._socket.send(request, socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        except (BrokenPipeError, ConnectionResetError) as error:
            return self._answer(deadline, error)
        if sent < len(request):
            return self.exchange((memoryview(request)[sent:],), deadline)
        scratch = self._scratch
        try:
            count = self._socket.recv_into(scratch)
        except BlockingIOError:  # nothing has come for _PATIENCE_S
            return self._answer(deadline, None)
        except ConnectionError as error:
            raise _dropped(error) from error
        came, frame = scratch[:count].tobytes(), usual.frame
        if frame is not None and came.startswith(frame):
            result = usual.read(came, len(frame))
            if result is not None:
                return result
        return self._read(count, deadline, None)

    def send(self, packet: Buffer, deadline: Deadline) -> None:
        """Send it all; most often the socket takes it at once."""
        rest = packet
        while True:
            try:
                sent = self._socket.send(rest, socket.MSG_DONTWAIT) if self._plain else self._socket.send(rest)
            except (BlockingIOError, ssl.SSLWantWriteError):
                _wait(self._departures, deadline)
            except ssl.SSLWantReadError:
                _wait(self._arrivals, deadline)
            else:
                if sent == len(rest):
                    return
                rest = memoryview(rest)[sent:]

    def send_now(self, pieces: Sequence[Buffer]) -> Sequence[Buffer]:
        """Send what the socket takes at once, and give what is left."""
        try:
            if self._plain:
                sent = self._socket.sendmsg(pieces[:_MOST_PIECES], (), socket.MSG_DONTWAIT)
            else:
                sent = self._socket.send(b"".join(pieces[:_PIECES_OF_TLS]))
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return pieces
        for index, piece in enumerate(pieces):
            if sent < len(piece):
                return [memoryview(piece)[sent:], *pieces[index + 1 :]]
            sent -= len(piece)
        return ()

    def wait_for_either(self, deadline: Deadline, *, writing: bool) -> bool:
        """Wait until something has come or, where `writing`, the socket takes more; tell whether something has come.

        Raise TimeoutError past the deadline.
        """
        ready = select.poll()
        ready.register(self._socket, select.POLLIN | (select.POLLOUT if writing else 0))
        while not (found := ready.poll(deadline.left_s() * 1000 + 1)):
            deadline.left_s()
        return bool(found[0][1] & ~select.POLLOUT)

    def exchange_chunks(self, parts: Sequence[Buffer], deadline: Deadline) -> Generator[bytes, None, Answer]:
        """Send a request, give each chunk of the answer as it comes, and return what is left of it.

        Raise what `exchange` raises.
        """
        came: deque[bytes] = deque()
        for packet in packets(parts):
            self.send(packet, deadline)
        reading = read_answer(self._scratch, came.append)
        memory = next(reading)
        while True:
            try:
                memory = reading.send(self.receive(memory, deadline))
            except StopIteration as stop:
                answer: Answer = stop.value
                yield from came
                return answer
            while came:
                yield came.popleft()

    def _answer(self, deadline: Deadline, refused: OSError | None) -> Answer:
        """Read the answer to a request that has been sent, up to where the peer refused more of it."""
        try:
            count = self.receive(self._scratch, deadline)
        except ConnectionError as error:
            raise _dropped(error) from (refused or error)
        return self._read(count, deadline, refused)

    def _read(self, count: int, deadline: Deadline, refused: OSError | None) -> Answer:
        """Read an answer of which `count` bytes are in the scratch memory; none: the peer has closed."""
        at_once = read_at_once(self._scratch[:count].tobytes())
        if at_once is not None:
            return at_once
        reading = read_answer(self._scratch)
        next(reading)  # it asks for the scratch memory, which is filled already
        try:
            while True:
                target = reading.send(count)
                count = self.receive(target, deadline)
        except StopIteration as stop:
            answer: Answer = stop.value
            return answer
        except Dropped as error:
            raise error from refused

    def receive(self, memory: memoryview, deadline: Deadline) -> int:
        """Receive some bytes; none where the peer has closed."""
        while self._plain:
            try:
                if deadline.at - time.monotonic() > _PATIENCE_S:
                    return self._socket.recv_into(memory)
                _wait(self._arrivals, deadline)
                return self._socket.recv_into(memory, 0, socket.MSG_DONTWAIT)
            except BlockingIOError:
                continue
        while True:
            deadline.left_s()
            try:
                return self._socket.recv_into(memory)
            except ssl.SSLWantReadError:
                _wait(self._arrivals, deadline)
            except ssl.SSLWantWriteError:
                _wait(self._departures, deadline)
            except ssl.SSLEOFError:
                return 0
            except ssl.SSLError as error:
                raise (Unsent(str(error)) if is_refusal(str(error)) else error) from error

    def receive_now(self, memory: memoryview) -> int | None:
        """Receive bytes that are there already: 0 where the peer has closed, None where there are none."""
        if not self._arrivals.poll(0):
            return None
        try:
            return self._socket.recv_into(memory, 0, socket.MSG_DONTWAIT if self._plain else 0)
        except (BlockingIOError, ssl.SSLWantReadError):  # what came is TLS's own
            return None


def packets(parts: Sequence[Buffer]) -> Sequence[Buffer]:
    """Join small parts, and leave large ones as they are."""
    if len(parts) == 1:
        return parts
    joined: list[Buffer] = []
    small: list[Buffer] = []
    size = 0
    for part in parts:
        size += len(part)
        if size < _JOIN_BELOW:
            small.append(part)
            continue
        if small:
            joined.append(b"".join(small))
        joined.append(part)
        small, size = [], 0
    if small:
        joined.append(b"".join(small))
    return joined


def _dropped(error: ConnectionError) -> Dropped:
    return Dropped(f"{error.strerror or error} before an answer")


def _wait(ready: select.poll, deadline: Deadline) -> None:
    """Wait until the socket is ready. Raise TimeoutError past the deadline."""
    while not ready.poll(deadline.left_s() * 1000 + 1):
        deadline.left_s()


def _open(route: Route, deadline: Deadline) -> socket.socket:
    connected = _connect(route.host, route.port, deadline)
    try:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        keep_alive(connected, route.keepalive_s)
        if route.context:
            connected.settimeout(deadline.left_s())
            try:
                connected = route.context.wrap_socket(connected, server_hostname=route.server_name)
            except (ssl.SSLEOFError, ConnectionResetError, BrokenPipeError) as error:
                raise Unsent(NO_TLS) from error
            connected.setblocking(False)
        else:
            connected.setblocking(True)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", _PATIENCE_S, 0))
    except BaseException:
        connected.close()
        raise
    return connected


def _connect(host: str, port: int, deadline: Deadline) -> socket.socket:
    failure = OSError("the name has no address")
    for family, kind, protocol, _, address in resolve(host, port, deadline):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(deadline.left_s())
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure
