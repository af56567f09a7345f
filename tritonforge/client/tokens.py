"""Tokens that are asked for before each request: a transport over another, whose requests carry them."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from typing import Any

from tritonforge.client.concurrency.waits import within
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import DeadlineExceeded, Target
from tritonforge.client.message import Headers, Request, Response
from tritonforge.client.options import authorization
from tritonforge.client.questions import Question
from tritonforge.client.tensors.arguments import kind_of
from tritonforge.client.transport import AsyncTransport, TransportOver

__all__ = ["TokenTransport"]


class TokenTransport(TransportOver[AsyncTransport]):
    """Another transport, with a function of the caller's that is asked for the token of each request."""

    def __init__(
        self, inner: AsyncTransport, function: Callable[[], str | Awaitable[str]], *, blocking: bool = False
    ) -> None:
        """`blocking`: there is no event loop, in which it could be awaited."""
        super().__init__(inner)
        self._function = function
        self._blocking = blocking

    async def infer(self, request: Request, deadline: Deadline) -> Response:
        """Send one request and wait for its one response."""
        target = Target(self.url, request.model, request.version, request.id)
        signed = request._replace(headers=await self._with_token(request.headers, target, deadline), kind=None)
        return await self._inner.infer(signed, deadline)

    async def stream(self, request: Request, deadline: Deadline) -> AsyncGenerator[Response, None]:
        """Send one request and give each response as it comes."""
        if self.url.startswith("grpc"):  # any other refuses
            target = Target(self.url, request.model, request.version, request.id)
            request = request._replace(headers=await self._with_token(request.headers, target, deadline))
        async with aclosing(self._inner.stream(request, deadline)) as responses:
            async for response in responses:
                yield response

    async def ask(self, question: Question, deadline: Deadline) -> Any:
        """Ask the server something."""
        return await self._inner.ask(await self._signed(question, deadline), deadline)

    async def events(self, question: Question, deadline: Deadline) -> AsyncGenerator[bytes, None]:
        """Ask what is answered piece by piece."""
        if self.url.startswith("http"):
            question = await self._signed(question, deadline)
        async with aclosing(self._inner.events(question, deadline)) as pieces:
            async for piece in pieces:
                yield piece

    async def _signed(self, question: Question, deadline: Deadline) -> Question:
        target = Target(self.url, question.model, question.version)
        return question._replace(headers=await self._with_token(question.headers, target, deadline))

    async def _with_token(self, headers: Headers, target: Target, deadline: Deadline) -> Headers:
        """Ask for the token, unless the call has an Authorization of its own.

        Raise DeadlineExceeded where it comes too late, TypeError or ValueError where it is none, and what the function
        raises.
        """
        if headers and any(name == "authorization" for name, _ in headers):
            return headers
        try:
            token = self._function()
            if inspect.isawaitable(token):
                if self._blocking:
                    raise self._refusal(token)
                token = await within(deadline.left_s(), _awaited(token))
            deadline.left_s()
        except TimeoutError as error:
            if not deadline.over:  # its own
                raise
            reason = f"no token within {deadline.given}: the function given as token took too long"
            late = DeadlineExceeded(reason, target, sent=False)
            late.of_token = True
            raise late from error
        return headers + authorization(token)

    def _refusal(self, token: Awaitable[str]) -> TypeError:
        if isinstance(token, Coroutine):
            token.close()
        return TypeError(
            f"the function given as token gave {kind_of(token)}, which AsyncClient awaits; Client takes one that gives "
            "a text"
        )


async def _awaited(token: Awaitable[str]) -> str:
    return await token
