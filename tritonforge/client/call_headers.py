"""Headers of single calls: a transport over another, whose requests carry them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from tritonforge.client.deadline import Deadline
from tritonforge.client.message import Headers, Request, Response, joined
from tritonforge.client.questions import Question
from tritonforge.client.transport import AsyncTransport

__all__ = ["HeadersTransport"]


class HeadersTransport:
    """Another transport, for the requests and questions of one call: over all servers and retries they carry these."""

    def __init__(self, inner: AsyncTransport, headers: Headers) -> None:
        self.url = inner.url
        self._inner = inner
        self._headers = headers

    async def infer(self, request: Request, deadline: Deadline) -> Response:
        """Send one request and wait for its one response."""
        return await self._inner.infer(self._with_headers(request), deadline)

    def stream(self, request: Request, deadline: Deadline) -> AsyncGenerator[Response, None]:
        """Send one request and give each response as it comes."""
        return self._inner.stream(self._with_headers(request), deadline)

    async def ask(self, question: Question, deadline: Deadline) -> Any:
        """Ask the server something."""
        return await self._inner.ask(self._asked(question), deadline)

    def events(self, question: Question, deadline: Deadline) -> AsyncGenerator[bytes, None]:
        """Ask what is answered piece by piece."""
        return self._inner.events(self._asked(question), deadline)

    async def sleep(self, seconds: float) -> None:
        """Wait, as the other transport does."""
        await self._inner.sleep(seconds)

    def renew(self) -> None:
        """Make connections anew from now on."""
        self._inner.renew()

    async def close(self) -> None:
        """Close all connections."""
        await self._inner.close()

    def _with_headers(self, request: Request) -> Request:
        return request._replace(headers=joined(request.headers, self._headers), kind=None)

    def _asked(self, question: Question) -> Question:
        return question._replace(headers=joined(question.headers, self._headers))
