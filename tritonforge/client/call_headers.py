"""Headers of single calls: a transport over another, whose requests carry them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from tritonforge.client.deadline import Deadline
from tritonforge.client.message import Headers, Request, Response, joined
from tritonforge.client.questions import Question
from tritonforge.client.transport import AsyncTransport, TransportOver

__all__ = ["HeadersTransport", "asked_with", "with_headers"]


class HeadersTransport(TransportOver[AsyncTransport]):
    """Another transport, for the requests and questions of one call: over all servers and retries they carry these."""

    def __init__(self, inner: AsyncTransport, headers: Headers) -> None:
        super().__init__(inner)
        self._headers = headers

    async def infer(self, request: Request, deadline: Deadline) -> Response:
        """Send one request and wait for its one response."""
        return await self._inner.infer(with_headers(request, self._headers), deadline)

    def stream(self, request: Request, deadline: Deadline) -> AsyncGenerator[Response, None]:
        """Send one request and give each response as it comes."""
        return self._inner.stream(with_headers(request, self._headers), deadline)

    async def ask(self, question: Question, deadline: Deadline) -> Any:
        """Ask the server something."""
        return await self._inner.ask(asked_with(question, self._headers), deadline)

    def events(self, question: Question, deadline: Deadline) -> AsyncGenerator[bytes, None]:
        """Ask what is answered piece by piece."""
        return self._inner.events(asked_with(question, self._headers), deadline)


def with_headers(request: Request, headers: Headers) -> Request:
    """Give a request more headers; those that it has count where both have a name."""
    return request._replace(headers=joined(request.headers, headers), kind=None) if headers else request


def asked_with(question: Question, headers: Headers) -> Question:
    """Give a question more headers, likewise."""
    return question._replace(headers=joined(question.headers, headers)) if headers else question
