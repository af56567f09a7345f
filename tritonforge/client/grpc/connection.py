"""One HTTP/2 connection for unary gRPC calls, one at a time: nothing past the deadline."""

from __future__ import annotations

import time

from tritonforge.client.connections.sockets import connecting
from tritonforge.client.deadline import Deadline
from tritonforge.client.grpc.frames import GrpcAnswer, GrpcFrames
from tritonforge.client.http.answer import Dropped, Garbled, Unsent, scratch_memory
from tritonforge.client.http.connection import Connection, Route

__all__ = ["RECENT_S", "GrpcConnection", "broken"]

RECENT_S = 0.01
"""So long after an answer what comes isn't read before the next call."""

_MOMENT_S = 0.1


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
            frames.take(bytes(scratch[:count]))
        if not frames.usable:
            raise Unsent("the server is closing the connection")

    def is_quiet(self) -> bool:
        """Tell whether it takes another call, having read what came since the last answer: pings, windows, an end.

        Right after an answer it isn't looked: what comes by then does no harm, since frames say whose they are.
        """
        if time.monotonic() - self._answered_at < RECENT_S:
            return self._frames.usable
        try:
            while not self._line.is_quiet():
                count = self._line.receive_now(self._scratch)
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

    def fits(self, size: int) -> bool:
        """Tell whether a message of so many bytes can be sent at once."""
        return self._frames.fits(size)

    def call(self, headers: bytes, message: bytes, deadline: Deadline) -> GrpcAnswer:
        """Send a call and read its answer.

        Raise Dropped, Unsent, another OSError, Garbled, or TimeoutError.
        """
        line, frames, scratch, stream = self._line, self._frames, self._scratch, 0
        try:
            stream, data = frames.start(headers, message, deadline.left_s())
            line.send(data, deadline)
            while True:
                count = line.receive(scratch, deadline)
                if not count:
                    raise broken(frames, stream, "the connection was closed")
                ended = frames.take(bytes(scratch[:count]))
                if frames.replies:
                    line.send(frames.reply(), deadline)
                if ended:
                    outcome = ended[0][1]
                    if isinstance(outcome, GrpcAnswer):
                        self._answered_at = time.monotonic()
                        return outcome
                    try:
                        raise outcome
                    finally:
                        del outcome, ended  # its traceback has this frame
        except ConnectionError as error:
            raise broken(frames, stream, error.strerror or str(error)) from error

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
