"""One HTTP/2 connection of an event loop, shared by several calls: what `connection` is where there is no loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from tritonforge.client.connections.async_line import AsyncLine, open_line
from tritonforge.client.connections.sockets import connecting
from tritonforge.client.deadline import Deadline
from tritonforge.client.grpc.answer import GrpcAnswer, Outcome
from tritonforge.client.grpc.connection import RECENT_S, broken
from tritonforge.client.grpc.frames import LARGEST_MESSAGE, GrpcFrames
from tritonforge.client.http.answer import Unsent
from tritonforge.client.http.connection import Route
from tritonforge.client.message import Buffer

__all__ = ["UPLOAD_SHARE", "AsyncGrpcConnection", "connect"]


UPLOAD_SHARE = 16
"""Calls for which one counts whose large message is being sent: it fills the peer's windows, and the socket."""

_AT_ONCE = 1 << 18  # bytes of such a message, between which other calls have a turn
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
        self._opened: asyncio.Future[None] | None = None  # where a message waits for room: done once something comes
        self._out: list[bytes] = []  # what is to be sent at the end of the loop's turn

    @property
    def usable(self) -> bool:
        """Whether it takes another call, now or later."""
        return self.open and not self._retired and self._frames.usable

    @property
    def busy(self) -> int:
        """How many calls are under way; one whose large message is being sent counts as many."""
        return self._frames.busy + self._frames.uploads * UPLOAD_SHARE

    @property
    def stale(self) -> bool:
        """Whether the loop is to read first, an end maybe, before a call is made; not right after an answer."""
        return not self.busy and time.monotonic() - self._answered_at > RECENT_S and self.unread

    @property
    def full(self) -> bool:
        """Whether the server takes no other call now."""
        return self._frames.full

    def fits(self, size: int) -> bool:
        """Tell whether a call with a message of so many bytes can be sent at once, or begun where it is large."""
        return not (self._frames.full or self.busy) if size > LARGEST_MESSAGE else self._frames.fits(size)

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

    async def call(self, headers: bytes, parts: Sequence[Buffer], size: int, deadline: Deadline) -> GrpcAnswer:
        """Send a call and read its answer; see `GrpcConnection.call`.

        One that is cancelled, or late, is cancelled at the server.
        """
        frames = self._frames
        fits = frames.fits(size)
        if fits:
            stream, data = frames.start(headers, b"".join(parts), deadline.left_s())
        else:
            stream, data = frames.begin(headers, parts, size, deadline.left_s())
        try:
            answer = self.expect(stream, deadline)
            self._send(data)
            if not fits:
                await self._upload(stream, answer)
            return await answer
        finally:
            self._answered_at = time.monotonic()
            self.release(stream)
            del answer  # a circle: what it may raise has this frame in its traceback
            if (rest := frames.give_up(stream)) and self.open:
                self._send(rest)
                self._retired = self._retired or self._room is not None  # which the socket may never take
            if not frames.busy and not self.usable:
                self.close()

    async def _upload(self, stream: int, answer: asyncio.Future[GrpcAnswer]) -> None:
        """Send a message as the peer has room for it, until its call is over."""
        frames = self._frames
        while not answer.done() and (pieces := frames.more(stream, _AT_ONCE)) is not None:
            if pieces:
                self._flush()
                self.write(b"".join(pieces))
                await asyncio.sleep(0)  # the others' turn, and the loop's to see that the connection is lost
                await self.room(answer)
            else:
                self._opened = self._opened or self._loop.create_future()
                waited: list[asyncio.Future[Any]] = [self._opened, answer]
                await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)

    def retire(self) -> None:
        """Take no more calls, and close once those under way are over."""
        self._retired = True
        if not self.busy:
            self.close()

    def took(self, count: int) -> None:
        """Read frames, whether or not a call is under way."""
        frames = self._frames
        if not frames.greeted:
            ended = self._take_greeting(bytes(self.memory[:count]))
        else:
            ended = frames.take(bytes(self.memory[:count])) if self.memory is self._scratch else frames.filled(count)
        self.memory = frames.target() or self._scratch
        if self._opened is not None:
            self._opened.set_result(None)
            self._opened = None
        if frames.replies:
            self._send(frames.reply())
        for stream, outcome in ended:
            if isinstance(outcome, GrpcAnswer):
                self.finish(stream, outcome)
            else:
                self.fail(stream, outcome)

    def _take_greeting(self, data: bytes) -> list[tuple[int, Outcome]]:
        ended = self._frames.greet(data)
        if self._frames.greeted:
            self.finish(_GREETING, _GREETED)
        return ended

    def _send(self, data: bytes) -> None:
        """Send bytes: at once where a call is alone, else together with those of the other calls of the loop's turn."""
        if self._frames.busy <= 1 and not self._out:
            self.write(data)
            return
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        if self._out:
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
