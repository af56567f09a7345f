"""What the client needs of a way to reach a server."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import Any, Generic, Protocol, TypeVar

from tritonforge.client.deadline import Deadline
from tritonforge.client.message import Request, Response
from tritonforge.client.questions import Question

__all__ = ["AsyncTransport", "Json", "Transport", "TransportOver"]

Json = dict[str, Any]
"""An object of the server's, with the names that Triton's HTTP API gives."""


class Transport(Protocol):
    """One way to reach one server that blocks the thread, usable from several.

    Each method is over by its deadline, and raises nothing but the errors of `tritonforge.client.errors`, and
    RuntimeError once it is closed.
    """

    @property
    def url(self) -> str:
        """The server's URL, for people."""

    def infer(self, request: Request, deadline: Deadline) -> Response:
        """Send one request and wait for its one response."""

    def stream(self, request: Request, deadline: Deadline) -> Generator[Response, None, None]:
        """Send one request and give each response as it comes. Closing the generator cancels the request."""

    def ask(self, question: Question, deadline: Deadline) -> Any:
        """Ask the server something: a bool where it is about readiness, else an object or a list of objects."""

    def events(self, question: Question, deadline: Deadline) -> Generator[bytes, None, None]:
        """Ask what is answered piece by piece, over HTTP. Closing the generator gives the rest up."""

    def renew(self) -> None:
        """Make connections anew from now on: those that there are may be dead. Calls under way keep theirs."""

    def close(self) -> None:
        """Close all connections."""


class AsyncTransport(Protocol):
    """The same within an event loop. Cancelling a task cancels its request; over gRPC the server learns of it.

    Calls are written once, over this protocol; `tritonforge.client.concurrency.blocking` makes one of a Transport.
    """

    @property
    def url(self) -> str:
        """The server's URL, for people."""

    async def infer(self, request: Request, deadline: Deadline) -> Response:
        """Send one request and wait for its one response."""

    def stream(self, request: Request, deadline: Deadline) -> AsyncGenerator[Response, None]:
        """Send one request and give each response as it comes. Closing the generator cancels the request."""

    async def ask(self, question: Question, deadline: Deadline) -> Any:
        """Ask the server something: a bool where it is about readiness, else an object or a list of objects."""

    def events(self, question: Question, deadline: Deadline) -> AsyncGenerator[bytes, None]:
        """Ask what is answered piece by piece, over HTTP. Closing the generator gives the rest up."""

    async def sleep(self, seconds: float) -> None:
        """Wait, as the calls over this transport do."""

    def renew(self) -> None:
        """Make connections anew from now on: those that there are may be dead. Calls under way keep theirs."""

    async def close(self) -> None:
        """Close all connections."""


T = TypeVar("T", bound=AsyncTransport)


class TransportOver(Generic[T]):
    """What a transport over another leaves to that one."""

    def __init__(self, inner: T) -> None:
        self.url = inner.url
        self._inner = inner

    async def sleep(self, seconds: float) -> None:
        """Wait, as the other transport does."""
        await self._inner.sleep(seconds)

    def renew(self) -> None:
        """Make connections anew from now on."""
        self._inner.renew()

    async def close(self) -> None:
        """Close all connections."""
        await self._inner.close()
