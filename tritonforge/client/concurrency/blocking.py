"""Calls that are written once, as coroutines, run where there is no event loop.

Over a transport that blocks, a coroutine never suspends: the first step runs it to its end. So what a call does
(checks, metadata, retries, …) is the same code in both clients, and only the innermost step differs.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Coroutine, Generator
from typing import Any, TypeVar

from tritonforge.client.deadline import Deadline
from tritonforge.client.message import Request, Response
from tritonforge.client.questions import Question
from tritonforge.client.transport import Transport

__all__ = ["Blocking", "finish", "iterate"]

T = TypeVar("T")


class Blocking:
    """An AsyncTransport whose methods block: they are done once they return, and suspend nobody."""

    __slots__ = ("_transport", "url")

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.url = transport.url

    async def infer(self, request: Request, deadline: Deadline) -> Response:
        """Send one request and wait for its one response."""
        return self._transport.infer(request, deadline)

    async def stream(self, request: Request, deadline: Deadline) -> AsyncGenerator[Response, None]:
        """Send one request and give each response as it comes. Closing the generator cancels the request."""
        responses = self._transport.stream(request, deadline)
        try:
            for response in responses:
                yield response
        finally:
            responses.close()

    async def ask(self, question: Question, deadline: Deadline) -> Any:
        """Ask the server something."""
        return self._transport.ask(question, deadline)

    async def events(self, question: Question, deadline: Deadline) -> AsyncGenerator[bytes, None]:
        """Ask what is answered piece by piece. Closing the generator gives the rest up."""
        pieces = self._transport.events(question, deadline)
        try:
            for piece in pieces:
                yield piece
        finally:
            pieces.close()

    async def sleep(self, seconds: float) -> None:
        """Block the thread."""
        time.sleep(seconds)

    def renew(self) -> None:
        """Make connections anew from now on."""
        self._transport.renew()

    async def close(self) -> None:
        """Close all connections."""
        self._transport.close()


def finish(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine over a Blocking transport to its end, in this thread. Raise what it raises."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    coroutine.close()
    raise RuntimeError(f"{coroutine!r} waits for something other than a transport that blocks")


def iterate(items: AsyncGenerator[T, None]) -> Generator[T, None, None]:
    """Give what an asynchronous generator over a Blocking transport gives. Closing this closes it."""
    try:
        while True:
            try:
                item = finish(items.asend(None))
            except StopAsyncIteration:
                return
            yield item
    finally:
        finish(items.aclose())
