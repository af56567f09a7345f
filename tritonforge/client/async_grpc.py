"""The gRPC transport for event loops: what `grpc` does, over grpcio's asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import grpc
import grpc.aio

from tritonforge.client.deadline import Deadline
from tritonforge.client.grpc_exchange import FAILURES, INFER, STREAM, GrpcExchange, path
from tritonforge.client.grpc_questions import SUBJECTS, parse_answer, procedure, serialize_question
from tritonforge.client.loops import PerLoop
from tritonforge.client.message import Request, Response
from tritonforge.client.options import ConnectionOptions
from tritonforge.client.questions import Question
from tritonforge.client.url import Endpoint

__all__ = ["AsyncGrpcTransport"]


class AsyncGrpcTransport:
    """One server's gRPC endpoint, usable from any number of tasks. Cancelling a task cancels the call at the server."""

    def __init__(self, endpoint: Endpoint, options: ConnectionOptions | None = None) -> None:
        self.url = str(endpoint)
        self._form = form = GrpcExchange(endpoint, options or ConnectionOptions())
        self._channels = PerLoop(lambda: _Channel(form))
        self._closed = False

    async def infer(self, request: Request, deadline: Deadline) -> Response:
        """Send one request and wait for its one response."""
        try:
            data = await self._channel().infer(
                self._form.write_infer(request), timeout=deadline.left_s(), metadata=self._form.metadata()
            )
            return self._form.read_infer(data)
        except FAILURES as error:
            raise self._form.failure(error, deadline, self._form.target(request)) from error

    async def stream(self, request: Request, deadline: Deadline) -> AsyncGenerator[Response, None]:
        """Send one request and give each response as it comes. Closing the generator cancels the request."""
        target = self._form.target(request)
        message = self._form.write_stream(request)
        call = None
        try:
            call = self._channel().stream(iter([message]), timeout=deadline.left_s(), metadata=self._form.metadata())
            async for data in call:
                response, final = self._form.read_stream(data, target)
                if response is not None:
                    yield response
                if final:
                    return
        except FAILURES as error:
            raise self._form.failure(error, deadline, target) from error
        finally:
            if call is not None:
                call.cancel()

    async def ask(self, question: Question, deadline: Deadline) -> Any:
        """Ask the server something."""
        message = serialize_question(question)
        try:
            data = await self._channel().procedures[procedure(question)](
                message, timeout=deadline.left_s(), metadata=self._form.metadata()
            )
            return parse_answer(question, data)
        except FAILURES as error:
            raise self._form.failure(error, deadline, self._form.target(question)) from error

    def events(self, question: Question, deadline: Deadline) -> AsyncGenerator[bytes, None]:
        """Refuse: what is asked so is of the HTTP API only."""
        raise self._form.refuse_events(question)

    async def sleep(self, seconds: float) -> None:
        """Let other tasks run meanwhile."""
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        """Close the channel; calls in flight are cancelled."""
        self._closed = True
        channel = self._channels.known()
        if channel is not None:
            await channel.channel.close()

    def _channel(self) -> _Channel:
        if self._closed:
            raise self._form.closed()
        return self._channels.get()


class _Channel:
    """A channel of one event loop, and its procedures."""

    __slots__ = ("channel", "infer", "procedures", "stream")

    def __init__(self, form: GrpcExchange) -> None:
        options = {"options": form.options, "compression": form.compression}
        if form.credentials is None:
            self.channel = grpc.aio.insecure_channel(form.authority, **options)
        else:
            self.channel = grpc.aio.secure_channel(form.authority, form.credentials, **options)
        self.infer = self.channel.unary_unary(INFER)
        self.stream = self.channel.stream_stream(STREAM)
        self.procedures = {name: self.channel.unary_unary(path(name)) for name, _ in SUBJECTS.values()}
