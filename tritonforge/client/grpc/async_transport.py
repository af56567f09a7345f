"""The gRPC transport for event loops: what `transport` does, over grpcio's asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial
from typing import Any

import grpc
import grpc.aio

from tritonforge.client.concurrency.blocking import finish
from tritonforge.client.concurrency.loops import PerLoop
from tritonforge.client.concurrency.waits import within
from tritonforge.client.connections.sockets import connecting
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import ClientError, Target
from tritonforge.client.grpc.channel import Channel, LargeStream
from tritonforge.client.grpc.exchange import FAILURES, INFER, LARGE, SETTLED, STREAM, GrpcExchange, path
from tritonforge.client.grpc.questions import SUBJECTS, parse_answer, procedure, serialize_question
from tritonforge.client.grpc.unary import AsyncUnaryCalls
from tritonforge.client.http.answer import Garbled
from tritonforge.client.message import Buffer, Headers, Request, Response
from tritonforge.client.options import ConnectionOptions
from tritonforge.client.questions import Question
from tritonforge.client.result import Result
from tritonforge.client.tensors.usual import Usual
from tritonforge.client.url import Endpoint

__all__ = ["AsyncGrpcTransport"]


class AsyncGrpcTransport:
    """One server's gRPC endpoint, usable from any number of tasks. Cancelling a task cancels the call at the server."""

    def __init__(self, endpoint: Endpoint, options: ConnectionOptions | None = None) -> None:
        self.url = str(endpoint)
        options = options or ConnectionOptions()
        self.form = form = GrpcExchange(endpoint, options)
        self._unary = AsyncUnaryCalls(INFER, endpoint, options) if self.form.unary else None
        self._channels = PerLoop(lambda: _Channel(form), _Channel.close)
        self._large: Channel | None = None  # for large messages: none of a loop's
        self._closed = False

    async def infer(self, request: Request, deadline: Deadline) -> Response:
        """Send one request and wait for its one response."""
        if self._closed:
            raise self.form.closed()
        parts, metadata = self.form.write_infer(request), self.form.metadata(request.headers)
        try:
            answer = None if self._unary is None else await self._unary.call(parts, metadata, deadline)
            if answer is None:
                answer = await self._over_grpcio(b"".join(parts), metadata, deadline)
            return self.form.read_infer(answer)
        except FAILURES as error:
            raise self._failure(error, deadline, self.form.target(request)) from error

    async def exchange(self, parts: Sequence[Buffer], deadline: Deadline) -> bytes | memoryview | None:
        """Send the parts of a message, and give the one that answers; None where it is not sent, or refused.

        Raise what is among FAILURES, RuntimeError once closed.
        """
        if self._closed:
            raise self.form.closed()
        if self._unary is None:
            return None
        return await self._unary.call(parts, self.form.metadata(), deadline)

    async def exchange_usual(
        self, request: bytes, usual: Usual | None, deadline: Deadline
    ) -> bytes | memoryview | Result | None:
        """Send a message, and give the result of an answer that is the usual one; of another, what `exchange` does."""
        return self.form.read_as(usual, await self.exchange((request,), deadline))

    async def conclude(
        self, outcome: bytes | memoryview | Exception | None, request: Request, deadline: Deadline
    ) -> Response:
        """Read what came of an exchange, or what it raised. Raise the ClientError that it is."""
        if isinstance(outcome, Exception):
            raise self._failure(outcome, deadline, self.form.target(request)) from outcome
        try:
            if outcome is None:
                parts, metadata = self.form.write_infer(request), self.form.metadata(request.headers)
                outcome = await self._over_grpcio(b"".join(parts), metadata, deadline)
            return self.form.read_infer(outcome)
        except FAILURES as error:
            raise self._failure(error, deadline, self.form.target(request)) from error

    async def stream(self, request: Request, deadline: Deadline) -> AsyncGenerator[Response, None]:
        """Send one request and give each response as it comes. Closing the generator before the last one cancels it."""
        target = self.form.target(request)
        message, metadata = self.form.write_stream(request), self.form.metadata(request.headers)
        call: Any = None
        final = False
        try:
            channel = await self._channel(deadline)  # kept while it is used: grpc closes one that nobody holds
            if len(message) < LARGE:
                call = channel.stream(iter([message]), timeout=deadline.left_s(), metadata=metadata)
            else:
                call = LargeStream(self._blocking_channel(), message, metadata, deadline.left_s())
            async for data in call:
                response, final = self.form.read_stream(data, target)
                if isinstance(response, ClientError):
                    raise response
                if response is not None:
                    yield response
                if final:
                    return
        except FAILURES as error:
            raise self._failure(error, deadline, target) from error
        except asyncio.CancelledError:
            self._require_open()
            raise
        finally:
            if call is not None:
                await _end(call, final=final)
                call = None  # an error that the caller keeps holds this frame

    async def ask(self, question: Question, deadline: Deadline) -> Any:
        """Ask the server something."""
        message, metadata = serialize_question(question), self.form.metadata(question.headers)
        try:
            name = procedure(question)
            answer = await self._make(lambda channel: channel.procedures[name], message, metadata, deadline)
            return parse_answer(question, answer)
        except FAILURES as error:
            raise self._failure(error, deadline, self.form.target(question)) from error

    def events(self, question: Question, deadline: Deadline) -> AsyncGenerator[bytes, None]:
        """Refuse: what is asked so is of the HTTP API only."""
        raise self.form.refuse_events(question)

    async def sleep(self, seconds: float) -> None:
        """Let other tasks run meanwhile."""
        await asyncio.sleep(seconds)

    def renew(self) -> None:
        """Make connections anew from now on."""
        if self._unary is not None:
            self._unary.renew()
        self._channels.drop()  # the old one goes with the last call over it
        self._large = None

    async def close(self) -> None:
        """Close all connections; calls in flight are cancelled."""
        self._closed = True
        if self._unary is not None:
            self._unary.close()
        self._channels.close()
        if self._large is not None:
            self._large.close()
        await asyncio.sleep(0)  # the loop closes a socket in its next turn

    def _failure(self, error: Any, deadline: Deadline, target: Target) -> Exception:
        if self._closed and isinstance(error, grpc.RpcError) and error.code() is grpc.StatusCode.CANCELLED:
            return self.form.closed()  # while the call was under way
        if self.form.spoiled(error):
            self._channels.drop()
            self._large = None  # it may be that one's
        return self.form.failure(error, deadline, target)

    async def _over_grpcio(self, message: bytes, metadata: Headers | None, deadline: Deadline) -> bytes:
        return await self._make(lambda channel: channel.infer, message, metadata, deadline)

    async def _make(
        self,
        procedure_of: Callable[[Channel | _Channel], Any],
        message: bytes,
        metadata: Headers | None,
        deadline: Deadline,
    ) -> bytes:
        try:
            ask = procedure_of(await self._channel(deadline))
            if len(message) >= LARGE:
                channel = self._blocking_channel()
                ask = partial(channel.await_large, procedure_of(channel))
            return await _unary(self.form, ask, message, metadata, deadline)
        except asyncio.CancelledError:
            self._require_open()
            raise

    def _blocking_channel(self) -> Channel:
        channel = self._large
        if channel is None or not channel.usable:
            self._large = channel = Channel(self.form)
        return channel

    def _require_open(self) -> None:
        """Raise RuntimeError where a call was cancelled with its channel: grpcio words it as if its task had been."""
        cancelling = getattr(asyncio.current_task(), "cancelling", lambda: 0)  # Python 3.10 can't tell
        if self._closed and not cancelling():
            raise self.form.closed()

    async def _channel(self, deadline: Deadline) -> _Channel:
        if self._closed:
            raise self.form.closed()
        channel = self._channels.get()
        if deadline.shared and not channel.reached:
            await channel.reach(deadline)
        return channel


async def _end(call: Any, *, final: bool) -> None:
    """Let a call end that has had its final response, and cancel another, as the other transport does."""
    try:
        if final:
            async for _ in call:
                pass
    except FAILURES:
        pass
    finally:
        call.cancel()


async def _unary(form: GrpcExchange, ask: Any, message: bytes, metadata: Headers | None, deadline: Deadline) -> bytes:
    """Make a call, again where the server refuses it for the number of those under way."""
    limit, tries = deadline.to_connect(), 0
    while True:
        try:
            answer: bytes | None = await ask(message, timeout=deadline.left_s(), metadata=metadata)
        except grpc.RpcError as error:
            await asyncio.sleep(form.pause_after(error, limit, tries))
            tries += 1
        else:
            form.taken_at = time.monotonic()
            if answer is None:  # what grpcio (1.85) gives for a call that succeeds without one
                raise Garbled("the answer has no message")
            return answer


class _Channel:
    """A channel of one event loop, and its procedures."""

    __slots__ = ("channel", "infer", "procedures", "reached", "stream")

    def __init__(self, form: GrpcExchange) -> None:
        self.reached = False
        options = {"options": form.options, "compression": form.compression}
        if form.credentials is None:
            self.channel = grpc.aio.insecure_channel(form.authority, **options)
        else:
            self.channel = grpc.aio.secure_channel(form.authority, form.credentials, **options)
        self.infer = self.channel.unary_unary(INFER)
        self.stream = self.channel.stream_stream(STREAM)
        self.procedures = {name: self.channel.unary_unary(path(name)) for name, _ in SUBJECTS.values()}

    async def reach(self, deadline: Deadline) -> None:
        """Wait until there is a connection, or can be none, which the next call tells. Raise Unreached."""
        with connecting(deadline) as limit:
            while (state := self.channel.get_state(try_to_connect=True)) not in SETTLED:
                await within(limit.left_s(), self.channel.wait_for_state_change(state))
        self.reached = state is grpc.ChannelConnectivity.READY

    def close(self) -> None:
        """Cancel the calls in flight, and disconnect."""
        finish(self.channel.close())  # it suspends nobody, since it gives the calls no time
