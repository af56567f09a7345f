"""One HTTP/2 connection for unary gRPC calls, one at a time: nothing past the deadline."""

from __future__ import annotations

import ssl
import time
from collections.abc import Sequence

from tritonforge.client.connections.sockets import connecting
from tritonforge.client.deadline import Deadline
from tritonforge.client.grpc.answer import GrpcAnswer, Outcome
from tritonforge.client.grpc.frames import GrpcFrames
from tritonforge.client.http.answer import Dropped, Garbled, Unsent, scratch_memory
from tritonforge.client.http.connection import Connection, Route
from tritonforge.client.message import Buffer

__all__ = ["RECENT_S", "GrpcConnection", "broken"]

RECENT_S = 0.01
"""So long after an answer what comes isn't read before the next call."""

_MOMENT_S = 0.1
_AT_ONCE = 1 << 20  # bytes of a message for which room is made in the peer's windows, and then in the socket


class GrpcConnection:
    """A connected socket and its frames. After any error it is of no more use: close it, which also ends the call."""

    __slots__ = ("_answered_at", "_frames", "_line", "_scratch")

    def __init__(self, route: Route, deadline: Deadline) -> None:
        """Connect, and exchange settings. Raise OSError, or TimeoutError past the deadline."""
        self._frames = GrpcFrames()
        self._scratch = scratch_memory()
        self._answered_at = 0.0
        with connecting(deadline) as limit:
            self._line = Connection(route, limit)
            try:
                self._greet(limit)
            except ConnectionError as error:
                self.close()
                raise broken(self._frames, 0, error.strerror or str(error), route) from error
            except BaseException:
                self.close()
                raise
        route.answered = True

    def _greet(self, deadline: Deadline) -> None:
        frames, line, scratch = self._frames, self._line, self._scratch
        line.send(frames.reply(), deadline)
        while not frames.greeted:
            count = line.receive(scratch, deadline)
            if not count:
                raise ConnectionError("the connection was closed")
            frames.greet(bytes(scratch[:count]))
        if not frames.usable:
            raise Unsent("the server is closing the connection")

    def is_quiet(self) -> bool:
        """Tell whether it takes another call, having read what came since the last answer: pings, windows, an end.

        Right after an answer it isn't looked: what comes by then does no harm, since frames say whose they are.
        """
        if time.monotonic() - self._answered_at < RECENT_S:
            return self._frames.usable
        try:
            while (count := self._line.receive_now(self._scratch)) is not None:
                if not count:
                    return False
                self._frames.take(bytes(self._scratch[:count]))
        except (OSError, Garbled):
            return False
        return self._frames.usable

    def idle_s(self) -> float:
        """Tell for how long there has been no call."""
        return time.monotonic() - self._answered_at

    def tend(self) -> bool:
        """Read what came while there was no call, and answer it; False where it takes no other call."""
        if not self.is_quiet():
            return False
        if not self._frames.replies:
            return True
        try:
            self._line.send(self._frames.reply(), Deadline(_MOMENT_S))
        except OSError:
            return False
        return True

    @property
    def full(self) -> bool:
        """Whether the server takes no call now."""
        return self._frames.full

    def call(self, headers: bytes, parts: Sequence[Buffer], size: int, deadline: Deadline) -> GrpcAnswer:
        """Send a call with the parts of a message, of `size` bytes together, and read its answer.

        Raise Dropped, Unsent, another OSError, Garbled, or TimeoutError.
        """
        frames, stream = self._frames, 0
        outcome: Outcome | None = None
        try:
            if frames.fits(size):
                stream, data = frames.start(headers, b"".join(parts), deadline.left_s())
                self._line.send(data, deadline)
            else:
                stream, data = frames.begin(headers, parts, size, deadline.left_s())
                self._line.send(data, deadline)
                outcome = self._upload(stream, deadline)
            if outcome is None:
                outcome = self._answer(stream, deadline)
            if isinstance(outcome, GrpcAnswer):
                self._answered_at = time.monotonic()
                return outcome
            raise outcome
        except ConnectionError as error:
            raise broken(frames, stream, error.strerror or str(error)) from error
        finally:
            del outcome  # where it is raised, its traceback has this frame

    def _upload(self, stream: int, deadline: Deadline) -> Outcome | None:
        """Send a message as the peer has room for it; give the outcome of a call that ends before all is sent."""
        frames, line = self._frames, self._line
        while (pieces := frames.more(stream, _AT_ONCE)) is not None:
            if frames.replies:
                pieces.insert(0, frames.reply())
            try:
                left = line.send_now(pieces)
                while left or not pieces:
                    if line.wait_for_either(deadline, writing=bool(left)) and (ended := self._read(stream, deadline)):
                        frames.retire()  # a frame may be half sent
                        return ended[0][1]
                    if not left:
                        break
                    left = line.send_now(left)
            except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
                frames.retire()
                return None  # a server that refuses a message may answer, and close, before it has read all
        return None

    def _answer(self, stream: int, deadline: Deadline) -> Outcome:
        """Read until the call is over."""
        line, frames = self._line, self._frames
        while True:
            ended = self._read(stream, deadline)
            if frames.replies:
                line.send(frames.reply(), deadline)
            if ended:
                return ended[0][1]

    def _read(self, stream: int, deadline: Deadline) -> list[tuple[int, Outcome]]:
        """Read what has come, or wait for it; give the call if it has ended."""
        frames = self._frames
        memory = frames.target()
        count = self._line.receive(self._scratch if memory is None else memory, deadline)
        if not count:
            raise broken(frames, stream, "the connection was closed")
        return frames.take(bytes(self._scratch[:count])) if memory is None else frames.filled(count)

    def close(self) -> None:
        """Close the socket; the server learns by it that nobody waits any more."""
        self._line.close()


def broken(frames: GrpcFrames, stream: int, words: str, route: Route | None = None) -> Dropped | Garbled:
    """Make the error of a connection that ended in a call, or before any: then give its route."""
    if frames.begun(stream):
        return Garbled(f"{words} in the middle of the answer")
    words += " before an answer"
    if route is not None and not (frames.greeted or route.answered):
        words += ": what answers there may speak no gRPC: is it the server's HTTP port? then use http://…"
    return Dropped(words)
