"""The HTTP transport for event loops: what `transport` does, over connections that asyncio fills."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Any

from tritonforge.client.concurrency.loops import PerLoop
from tritonforge.client.connections.async_pool import AsyncPool
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import ClientError
from tritonforge.client.http.answer import Answer, Dropped
from tritonforge.client.http.async_connection import AsyncConnection, connect
from tritonforge.client.http.compression import finish_steps_beside
from tritonforge.client.http.exchange import FAILURES, HttpExchange
from tritonforge.client.message import Buffer, Request, Response
from tritonforge.client.options import ConnectionOptions
from tritonforge.client.questions import Question
from tritonforge.client.result import Result
from tritonforge.client.tensors.usual import Usual
from tritonforge.client.url import Endpoint

__all__ = ["AsyncHttpTransport"]


class AsyncHttpTransport:
    """One server's HTTP endpoint, usable from any number of tasks."""

    def __init__(self, endpoint: Endpoint, options: ConnectionOptions | None = None) -> None:
        options = options or ConnectionOptions()
        self.url = str(endpoint)
        self.form = form = HttpExchange(endpoint, options)
        open_one = partial(connect, form.route)
        self._pools = PerLoop(lambda: AsyncPool(open_one, options.max_connections), AsyncPool[AsyncConnection].close)
        self._closed = False

    async def infer(self, request: Request, deadline: Deadline) -> Response:
        """Send one request and wait for its one response."""
        form = self.form
        parts = await self._packed(request, deadline) if form.compresses else form.write_infer(request)
        try:
            answer = await self.exchange(parts, deadline)
            return self.form.read_infer(answer, request)
        except ClientError:
            raise
        except FAILURES as error:
            raise self.form.failure(error, deadline, self.form.target(request)) from error

    async def stream(self, request: Request, deadline: Deadline) -> AsyncGenerator[Response, None]:
        """Refuse: Triton streams tensors over gRPC only."""
        raise self.form.refuse_stream(request)
        yield  # type: ignore[unreachable]  # this makes it the generator that its callers want

    async def ask(self, question: Question, deadline: Deadline) -> Any:
        """Ask the server something."""
        parts = self.form.write_question(question)
        try:
            answer = await self.exchange(parts, deadline)
            if (doubts := self.form.in_doubt(answer, question)) is not None:
                self.form.resolve(await self.exchange(doubts, deadline))
            return self.form.read_reply(answer, question)
        except ClientError:
            raise
        except FAILURES as error:
            raise self.form.failure(error, deadline, self.form.target(question)) from error

    async def events(self, question: Question, deadline: Deadline) -> AsyncGenerator[bytes, None]:
        """Give the answer to a question piece by piece. Closing the generator closes its connection."""
        if self._closed:
            raise self.form.closed()
        parts = self.form.write_question(question)
        pool = self._pools.get()
        try:
            await pool.take_place(deadline)
            try:
                async for piece in self._pieces(await pool.fresh(deadline), parts, question, deadline):
                    yield piece
            finally:
                pool.free_place()
        except ClientError:
            raise
        except FAILURES as error:
            raise self.form.failure(error, deadline, self.form.target(question)) from error

    async def _pieces(
        self, connection: AsyncConnection, parts: list[Buffer], question: Question, deadline: Deadline
    ) -> AsyncGenerator[bytes, None]:
        came: asyncio.Queue[bytes | None] = asyncio.Queue()
        answer = asyncio.ensure_future(connection.exchange(parts, deadline, came.put_nowait))
        answer.add_done_callback(lambda _: came.put_nowait(None))
        try:
            while (piece := await came.get()) is not None:
                yield piece
            yield self.form.read_rest(await self._plain(await answer, deadline), question)
        finally:
            answer.cancel()
            connection.close()

    async def sleep(self, seconds: float) -> None:
        """Let other tasks run meanwhile."""
        await asyncio.sleep(seconds)

    async def conclude(self, outcome: Answer | Exception, request: Request, deadline: Deadline) -> Response:
        """Read what came of an exchange, or what it raised. Raise the ClientError that it is."""
        return self.form.conclude(outcome, request, deadline)

    def renew(self) -> None:
        """Make connections anew from now on."""
        pool = self._pools.known()
        if pool is not None:
            pool.renew()

    async def close(self) -> None:
        """Close all connections."""
        self._closed = True
        self._pools.close()
        await asyncio.sleep(0)  # the loop closes a socket in its next turn

    async def exchange(self, parts: Sequence[Buffer], deadline: Deadline) -> Answer:
        """Send the parts of a request, and give the answer. Raise what is among FAILURES, RuntimeError once closed."""
        if self._closed:
            raise self.form.closed()
        pool = self._pools.get()
        await pool.take_place(deadline)
        try:
            connection = pool.idle()
            answer = await _exchange_on(pool, connection or await pool.fresh(deadline), parts, deadline)
        except Dropped as error:
            raise self.form.unwelcome(error) from error.__cause__
        finally:
            pool.free_place()
        if connection is None:
            self.form.route.answered = True
        return await self._plain(answer, deadline) if "content-encoding" in answer.headers else answer

    async def exchange_usual(self, request: bytes, usual: Usual | None, deadline: Deadline) -> Answer | Result:
        """Send a request, and give the result of an answer that is the usual one; of another, what `exchange` does."""
        return self.form.read_as(usual, await self.exchange((request,), deadline))

    async def _packed(self, request: Request, deadline: Deadline) -> list[Buffer]:
        form = self.form
        try:
            header_size, steps = form.packing(request)
            return form.write_packed(request, header_size, await finish_steps_beside(steps, deadline))
        except TimeoutError as error:
            raise form.failure(error, deadline, form.target(request)) from error

    async def _plain(self, answer: Answer, deadline: Deadline) -> Answer:
        steps = self.form.unpacking(answer)
        return answer if steps is None else answer._replace(body=await finish_steps_beside(steps, deadline))


async def _exchange_on(
    pool: AsyncPool[AsyncConnection], connection: AsyncConnection, parts: Sequence[Buffer], deadline: Deadline
) -> Answer:
    try:
        answer = await connection.exchange(parts, deadline)
    except BaseException as error:  # a cancelled task's among them: its answer may still come
        connection.close()
        if isinstance(error, Dropped):  # what ended this one may have ended those that are idle, and said nothing
            pool.renew()
        raise
    if answer.reusable and connection.open:
        pool.give_back(connection)
    else:
        connection.close()
    return answer
