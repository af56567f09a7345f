"""One kept-alive HTTP/1.1 connection of an event loop: what `http_connection` is where there is none."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from typing import Any, cast

from tritonforge.client.deadline import Deadline
from tritonforge.client.http_answer import Answer, Dropped, Garbled, Reading, Take, read_answer, scratch_memory
from tritonforge.client.http_connection import Route, packets
from tritonforge.client.message import Buffer
from tritonforge.client.sockets import keep_alive

__all__ = ["AsyncConnection", "connect"]


class AsyncConnection(asyncio.BufferedProtocol):
    """A connected socket, whose bytes the loop receives right into the answer. After any error: close it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._scratch = scratch_memory()
        self._memory = self._scratch
        self._reading: Reading | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._transport: asyncio.Transport | None = None
        self._room: asyncio.Future[None] | None = None  # where the socket takes no more: done once it does
        self._begun = False  # whether some of the answer has come
        self.is_quiet = True
        """Whether nothing has come since the last answer: neither the peer's close nor stray bytes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what writes, and set up the socket."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Give the memory that the answer wants filled."""
        return self._memory

    def buffer_updated(self, nbytes: int) -> None:
        """Go on reading the answer."""
        if self._reading is None:
            self.is_quiet = False
            return
        self._begun = self._begun or nbytes > 0
        try:
            self._memory = self._reading.send(nbytes)
        except StopIteration as stop:
            self._finish(stop.value)
        except Exception as error:  # whatever reading raises is the answer's failure, not the loop's
            self._fail(error)

    def eof_received(self) -> bool:
        """Take it as the end of an answer that has no length; else the answer breaks off."""
        self.is_quiet = False
        if self._reading is not None:
            self.buffer_updated(0)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """End what waits for an answer."""
        self.is_quiet = False
        if self._reading is not None:
            self._fail(exc or Garbled("the connection was closed") if self._begun else Dropped(str(exc)))
        self.resume_writing()

    def pause_writing(self) -> None:
        """Have the next packet wait."""
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        """Let the next packet go."""
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None

    async def exchange(self, parts: Iterable[Buffer], deadline: Deadline, take: Take | None = None) -> Answer:
        """Send a request and read the answer; `take` is given each chunk of one that succeeds.

        Raise Dropped, another OSError, Garbled, or TimeoutError.
        """
        assert self._transport is not None
        self._reading = read_answer(self._scratch, take)
        self._memory = next(self._reading)
        self._begun = False
        answer: asyncio.Future[Answer] = self._loop.create_future()
        self._answer = answer
        timer = self._loop.call_later(deadline.left_s(), self._fail, TimeoutError())
        try:
            for packet in packets(parts):
                self._transport.write(packet)
                if self._room is not None and not answer.done():
                    waited: list[asyncio.Future[Any]] = [self._room, answer]
                    await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
                if answer.done():  # a server that refuses a large body answers before it has read all
                    break
            return await answer
        finally:
            timer.cancel()
            self._reading = self._answer = None

    def close(self) -> None:
        """Close the socket, whatever is still to be sent."""
        if self._transport is not None:
            self._transport.abort()

    def _finish(self, answer: Answer) -> None:
        self._reading, self._memory = None, self._scratch
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)

    def _fail(self, error: Exception) -> None:
        self._reading, self._memory = None, self._scratch
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


async def connect(route: Route, deadline: Deadline) -> AsyncConnection:
    """Connect to the first address of the host that answers. Raise OSError, or TimeoutError past the deadline."""
    loop = asyncio.get_running_loop()
    opening = loop.create_connection(
        AsyncConnection,
        route.host,
        route.port,
        ssl=route.context,
        server_hostname=route.server_name if route.context else None,
    )
    try:
        transport, connection = await asyncio.wait_for(opening, deadline.left_s())
    except asyncio.TimeoutError as error:  # CPython 3.10: not yet the builtin one
        raise TimeoutError from error
    keep_alive(transport.get_extra_info("socket"), route.keepalive_s)
    return connection
