"""One kept-alive HTTP/1.1 connection of an event loop: what `connection` is where there is none."""

from __future__ import annotations

from collections.abc import Sequence

from tritonforge.client.connections.async_line import AsyncLine, open_line
from tritonforge.client.connections.sockets import is_refusal
from tritonforge.client.deadline import Deadline
from tritonforge.client.http.answer import (
    Answer,
    Dropped,
    Garbled,
    Reading,
    Take,
    Unsent,
    not_http,
    read_answer,
    read_at_once,
)
from tritonforge.client.http.connection import Route, packets
from tritonforge.client.message import Buffer

__all__ = ["AsyncConnection", "connect"]


class AsyncConnection(AsyncLine[Answer]):
    """A connected socket, whose bytes the loop receives right into the answer. After any error: close it."""

    def __init__(self) -> None:
        super().__init__()
        self._awaited = False  # whether an answer is waited for
        self._take: Take | None = None
        self._reading: Reading | None = None  # an answer that has not come whole, or at once
        self._begun = False  # whether some of the answer has come

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has come since the last answer: neither the peer's close nor stray bytes."""
        return self.open and not self.unread

    def took(self, count: int) -> None:
        """Go on reading the answer; bytes that nobody waits for are stray ones."""
        if not self._awaited:
            self.open = False
            self.failure = Garbled(not_http(bytes(self._scratch[:count])))
            return
        self._begun = self._begun or count > 0
        reading = self._reading
        if reading is None:
            answer = read_at_once(bytes(self._scratch[:count])) if self._take is None else None
            if answer is not None:
                self._answered(answer)
                return
            self._reading = reading = read_answer(self._scratch, self._take)
            next(reading)  # it asks for the scratch memory, which is filled already
        try:
            self.memory = reading.send(count)
        except StopIteration as stop:
            self._answered(stop.value)

    def eof_received(self) -> bool:
        """Take it as the end of an answer that has no length; else the answer breaks off."""
        if self._awaited:
            self.buffer_updated(0)
        return super().eof_received()

    def lost(self, key: int, words: str) -> Exception:
        """Make the error of a connection that ended in a request."""
        if is_refusal(words):
            return Unsent(words)
        return Garbled(words) if self._begun else Dropped(f"{words} before an answer")

    async def exchange(self, parts: Sequence[Buffer], deadline: Deadline, take: Take | None = None) -> Answer:
        """Send a request and read the answer; `take` is given each chunk of one that succeeds.

        Raise Dropped, another OSError, Garbled, or TimeoutError.
        """
        deadline.left_s()
        self._awaited, self._begun, self._take = True, False, take
        answer = self.expect(0, deadline)
        try:
            for packet in packets(parts):
                self.write(packet)
                if self._room is not None:
                    await self.room(answer)
                if answer.done():  # a server that refuses a large body answers before it has read all
                    break
            return await answer
        finally:
            self._end()
            self.release(0)
            del answer  # a circle: what it may raise has this frame in its traceback

    def _answered(self, answer: Answer) -> None:
        self._end()
        self.finish(0, answer)

    def _end(self) -> None:
        self._awaited, self._take, self._reading, self.memory = False, None, None, self._scratch


async def connect(route: Route, deadline: Deadline) -> AsyncConnection:
    """Connect to the first address of the host that answers. Raise OSError, or TimeoutError past the deadline."""
    return await open_line(AsyncConnection, route, deadline)
