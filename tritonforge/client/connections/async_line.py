"""A connection of an event loop that takes one request after another: what HTTP's and gRPC's have in common."""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from tritonforge.client.concurrency.waits import within
from tritonforge.client.connections.async_tls import open_tls
from tritonforge.client.connections.sockets import NO_TLS, connecting, keep_alive
from tritonforge.client.deadline import Deadline
from tritonforge.client.http.answer import Unsent, scratch_memory
from tritonforge.client.http.connection import Route

__all__ = ["AsyncLine", "open_line"]

T = TypeVar("T")


class AsyncLine(asyncio.BufferedProtocol, Generic[T]):
    """A connected socket, whose bytes the loop receives right into `memory`; T is an answer, and numbers tell
    requests apart.

    The limits on the time of requests are one timer of the connection, moved only where it would ring too late: most
    requests are over long before, and the next one's limit is later still.
    """

    def __init__(self) -> None:
        self.open = True
        """Whether the peer has not closed it."""
        self._loop = asyncio.get_running_loop()
        self._scratch = scratch_memory()
        self.memory = self._scratch
        self._waiting: dict[int, tuple[asyncio.Future[T], Deadline]] = {}
        self.failure: Exception | None = None
        """What was wrong with bytes that came while nobody waited for an answer: the next request's failure."""
        self._last_words = "the connection was closed"  # with TLS 1.3, a refusal may come before the first request
        self._transport: asyncio.Transport | None = None
        self._arrivals = select.poll()
        self._room: asyncio.Future[None] | None = None  # where the socket takes no more: done once it does
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0

    @property
    def unread(self) -> bool:
        """Whether something has come, the peer's close too, since the loop last looked, which may be long ago."""
        return self.open and bool(self._arrivals.poll(0))

    def took(self, count: int) -> None:
        """Take so many bytes that came into `memory`; whatever it raises is the request's failure."""
        raise NotImplementedError

    def lost(self, key: int, words: str) -> Exception:
        """Make the error of a connection that ended in a request."""
        raise NotImplementedError

    def expect(self, key: int, deadline: Deadline) -> asyncio.Future[T]:
        """Begin a request: give what its answer, or TimeoutError past the deadline, is waited for with."""
        if self._alarm is None or self._alarm_at > deadline.at:
            self._set_alarm(max(0.0, deadline.at - time.monotonic()), deadline.at)
        answer: asyncio.Future[T] = self._loop.create_future()
        self._waiting[key] = (answer, deadline)
        if not self.open:  # the peer was done before the first request: nothing more will come
            self.fail(key, self.failure or self.lost(key, self._last_words))
        return answer

    def release(self, key: int) -> None:
        """End a request: nobody waits for its answer any more."""
        waited = self._waiting.pop(key, None)
        if waited is not None and waited[0].done() and not waited[0].cancelled():
            waited[0].exception()  # the loop would complain of one that nobody has taken

    def write(self, data: Any) -> None:
        """Send bytes, now or as soon as the socket takes them."""
        if self._transport is not None and self.open:  # asyncio complains of each one to a lost connection
            self._transport.write(data)

    async def room(self, answer: asyncio.Future[T]) -> None:
        """Wait until the socket takes more, or the answer has come."""
        if self._room is not None and not answer.done():
            waited: list[asyncio.Future[Any]] = [self._room, answer]
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)

    def finish(self, key: int, answer: T) -> None:
        """Hand an answer to who waits for it."""
        if key in self._waiting and not self._waiting[key][0].done():
            self._waiting[key][0].set_result(answer)

    def fail(self, key: int, error: Exception) -> None:
        """Hand an error to who waits for the answer."""
        if key in self._waiting and not self._waiting[key][0].done():
            self._waiting[key][0].set_exception(error)

    def close(self) -> None:
        """Close the socket, whatever is still to be sent."""
        self.open = False
        if self._transport is None:
            return
        if not self._loop.is_closed():
            self._transport.abort()
        elif hasattr(wrapped := self._transport.get_extra_info("socket"), "_sock"):  # uvloop has closed it
            wrapped._sock.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what writes, and set up the socket."""
        self._transport = cast("asyncio.Transport", transport)
        connection = self._transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._arrivals.register(connection, select.POLLIN)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Give the memory that is to be filled."""
        return self.memory

    def buffer_updated(self, nbytes: int) -> None:
        """Go on reading."""
        try:
            self.took(nbytes)
        except Exception as error:  # whatever reading raises is the answer's failure, not the loop's
            self.open = False
            self.failure = None if self._waiting else error
            for key in self._waiting:
                self.fail(key, error)

    def eof_received(self) -> bool:
        """Have the loop close the socket."""
        self.open = False
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """End what waits for an answer."""
        self.open = False
        if exc is not None:
            self._last_words = getattr(exc, "strerror", "") or str(exc)
        for key in self._waiting:
            self.fail(key, self.lost(key, self._last_words))
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self.resume_writing()

    def pause_writing(self) -> None:
        """Have the next packet wait."""
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        """Let the next packet go."""
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None

    def _set_alarm(self, left_s: float, at: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = at
        self._alarm = self._loop.call_later(left_s, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        now, later = time.monotonic(), []
        for key, (_, deadline) in self._waiting.items():
            if deadline.at > now:
                later.append(deadline.at)
            else:
                self.fail(key, TimeoutError())
        if later:
            self._set_alarm(min(later) - now, min(later))


L = TypeVar("L", bound=AsyncLine[Any])


async def open_line(make: Callable[[], L], route: Route, deadline: Deadline) -> L:
    """Connect to the first address of the host that answers. Raise OSError, or TimeoutError past the deadline."""
    loop = asyncio.get_running_loop()
    with connecting(deadline) as limit:
        left_s = limit.left_s()
        opening = open_tls(make, route) if route.context else loop.create_connection(make, route.host, route.port)
        try:
            transport, connection = await within(left_s, opening, lambda opened: opened[0].abort())
        except (ssl.SSLEOFError, ConnectionResetError, BrokenPipeError) as error:
            if route.context is None:
                raise
            raise Unsent(NO_TLS) from error
    keep_alive(transport.get_extra_info("socket"), route.keepalive_s)
    return connection
