"""One HTTP/2 connection of an event loop, shared by several calls: what `connection` is where there is no loop."""

from __future__ import annotations

import time
from functools import partial

from tritonforge.client.connections.async_line import AsyncLine, open_line
from tritonforge.client.connections.sockets import connecting
from tritonforge.client.deadline import Deadline
from tritonforge.client.grpc.connection import RECENT_S, broken
from tritonforge.client.grpc.frames import GrpcAnswer, GrpcFrames
from tritonforge.client.http.answer import Unsent
from tritonforge.client.http.connection import Route

__all__ = ["AsyncGrpcConnection", "connect"]


_GREETING = 0  # no call has this number
_GREETED = GrpcAnswer(0, "", b"")


class AsyncGrpcConnection(AsyncLine[GrpcAnswer]):
    """A connected socket and its frames."""

    def __init__(self, route: Route) -> None:
        super().__init__()
        self._route = route
        self._frames = GrpcFrames()
        self._retired = False
        self._answered_at = 0.0
        self._out: list[bytes] = []  # what is to be sent at the end of the loop's turn

    @property
    def usable(self) -> bool:
        """Whether it takes another call, now or later."""
        return self.open and not self._retired and self._frames.usable

    @property
    def busy(self) -> int:
        """How many calls are under way."""
        return self._frames.busy

    @property
    def stale(self) -> bool:
        """Whether the loop is to read first, an end maybe, before a call is made; not right after an answer."""
        return not self.busy and time.monotonic() - self._answered_at > RECENT_S and self.unread

    def fits(self, size: int) -> bool:
        """Tell whether a call with a message of so many bytes can be sent at once."""
        return self._frames.fits(size)

    async def greet(self, deadline: Deadline) -> None:
        """Exchange settings. Raise Dropped, Unsent, Garbled, or TimeoutError."""
        frames = self._frames
        greeting = self.expect(_GREETING, deadline)
        try:
            if frames.replies:
                self.write(frames.reply())
            if not frames.greeted:
                await greeting
            self._route.answered = True
        finally:
            self.release(_GREETING)
        if not frames.usable:
            raise Unsent("the server is closing the connection")

    async def call(self, headers: bytes, message: bytes, deadline: Deadline) -> GrpcAnswer:
        """Send a call and read its answer. A call that is cancelled, or late, is cancelled at the server.

        Raise Dropped, Unsent, another OSError, Garbled, or TimeoutError.
        """
        frames = self._frames
        stream, data = frames.start(headers, message, deadline.left_s())
        try:
            answer = self.expect(stream, deadline)
            self._send(data)
            return await answer
        finally:
            self._answered_at = time.monotonic()
            self.release(stream)
            del answer  # a circle: what it may raise has this frame in its traceback
            if (rest := frames.give_up(stream)) and self.open:
                self._send(rest)
            if not frames.busy and not self.usable:
                self.close()

    def retire(self) -> None:
        """Take no more calls, and close once those under way are over."""
        self._retired = True
        if not self.busy:
            self.close()

    def took(self, count: int) -> None:
        """Read frames, whether or not a call is under way."""
        frames = self._frames
        ended = frames.take(bytes(self.memory[:count]))
        if frames.replies:
            self._send(frames.reply())
        if frames.greeted:
            self.finish(_GREETING, _GREETED)
        for stream, outcome in ended:
            if isinstance(outcome, GrpcAnswer):
                self.finish(stream, outcome)
            else:
                self.fail(stream, outcome)

    def _send(self, data: bytes) -> None:
        """Send bytes: at once where a call is alone, else together with those of the other calls of the loop's turn."""
        if self._frames.busy <= 1 and not self._out:
            self.write(data)
            return
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        data = b"".join(self._out)
        self._out.clear()
        self.write(data)

    def lost(self, key: int, words: str) -> Exception:
        """Make the error of a connection that ended in a call."""
        return broken(self._frames, key, words, self._route)


async def connect(route: Route, deadline: Deadline) -> AsyncGrpcConnection:
    """Connect, and exchange settings: calls then know how many the server takes.

    Raise OSError, or TimeoutError past the deadline.
    """
    with connecting(deadline) as limit:
        connection = await open_line(partial(AsyncGrpcConnection, route), route, limit)
        try:
            await connection.greet(limit)
        except BaseException:
            connection.close()
            raise
        return connection
