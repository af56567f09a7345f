"""The gRPC transport: messages are written and read here. Small unary calls go over connections of our own, the rest
over grpcio, whose stubs pass bytes.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from functools import partial
from typing import Any

import grpc

from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import ClientError, Target
from tritonforge.client.grpc.channel import Channel
from tritonforge.client.grpc.exchange import FAILURES, INFER, LARGE, GrpcExchange
from tritonforge.client.grpc.questions import parse_answer, procedure, serialize_question
from tritonforge.client.grpc.unary import UnaryCalls
from tritonforge.client.http.answer import Garbled
from tritonforge.client.message import Buffer, Headers, Request, Response
from tritonforge.client.options import ConnectionOptions
from tritonforge.client.questions import Question
from tritonforge.client.result import Result
from tritonforge.client.tensors.usual import Usual
from tritonforge.client.url import Endpoint

__all__ = ["GrpcTransport"]


class GrpcTransport:
    """One server's gRPC endpoint, usable from several threads."""

    def __init__(self, endpoint: Endpoint, options: ConnectionOptions | None = None) -> None:
        self.url = str(endpoint)
        options = options or ConnectionOptions()
        self.form = GrpcExchange(endpoint, options)
        self._unary = UnaryCalls(INFER, endpoint, options) if self.form.unary else None
        self._channel = Channel(self.form)
        self._closed = False

    def infer(self, request: Request, deadline: Deadline) -> Response:
        """Send one request and wait for its one response."""
        if self._closed:
            raise self.form.closed()
        parts, metadata = self.form.write_infer(request), self.form.metadata(request.headers)
        try:
            answer = None if self._unary is None else self._unary.call(parts, metadata, deadline)
            if answer is None:
                answer = self._over_grpcio(b"".join(parts), metadata, deadline)
            return self.form.read_infer(answer)
        except FAILURES as error:
            raise self._failure(error, deadline, self.form.target(request)) from error

    def exchange(self, parts: Sequence[Buffer], deadline: Deadline) -> bytes | memoryview | None:
        """Send the parts of a message, and give the one that answers; None where it is not sent, or refused.

        Raise what is among FAILURES, RuntimeError once closed.
        """
        if self._closed:
            raise self.form.closed()
        if self._unary is None:
            return None
        return self._unary.call(parts, self.form.metadata(), deadline)

    def exchange_usual(
        self, request: bytes, usual: Usual | None, deadline: Deadline
    ) -> bytes | memoryview | Result | None:
        """Send a message, and give the result of an answer that is the usual one; of another, what `exchange` does."""
        return self.form.read_as(usual, self.exchange((request,), deadline))

    def conclude(
        self, outcome: bytes | memoryview | Exception | None, request: Request, deadline: Deadline
    ) -> Response:
        """Read what came of an exchange, or what it raised. Raise the ClientError that it is."""
        if isinstance(outcome, Exception):
            raise self._failure(outcome, deadline, self.form.target(request)) from outcome
        try:
            if outcome is None:
                parts, metadata = self.form.write_infer(request), self.form.metadata(request.headers)
                outcome = self._over_grpcio(b"".join(parts), metadata, deadline)
            return self.form.read_infer(outcome)
        except FAILURES as error:
            raise self._failure(error, deadline, self.form.target(request)) from error

    def stream(self, request: Request, deadline: Deadline) -> Generator[Response, None, None]:
        """Send one request and give each response as it comes. Closing the generator before the last one cancels it."""
        target = self.form.target(request)
        message, metadata = self.form.write_stream(request), self.form.metadata(request.headers)
        try:
            channel = self._usable(deadline)
            call = channel.stream(iter([message]), timeout=deadline.left_s(), metadata=metadata)
        except OSError as error:
            raise self._failure(error, deadline, target) from error
        answered = final = False
        try:
            channel.note(call, message)
            for data in call:
                answered = True
                response, final = self.form.read_stream(data, target)
                if isinstance(response, ClientError):
                    raise response
                if response is not None:
                    yield response
                if final:
                    return
        except FAILURES as error:
            raise self._failure(error, deadline, target) from error
        finally:
            _end(call, final=final)
            channel.forget(call, over=answered, succeeded=final)

    def ask(self, question: Question, deadline: Deadline) -> Any:
        """Ask the server something."""
        message, metadata = serialize_question(question), self.form.metadata(question.headers)
        try:
            channel = self._usable(deadline)
            ask = channel.procedures[procedure(question)]
            return parse_answer(question, _unary(self.form, channel, ask, message, metadata, deadline))
        except FAILURES as error:
            raise self._failure(error, deadline, self.form.target(question)) from error

    def events(self, question: Question, deadline: Deadline) -> Generator[bytes, None, None]:
        """Refuse: what is asked so is of the HTTP API only."""
        raise self.form.refuse_events(question)

    def renew(self) -> None:
        """Make connections anew from now on."""
        if self._unary is not None:
            self._unary.renew()
        self._channel = Channel(self.form)  # the old one goes with the last call over it

    def close(self) -> None:
        """Close the channel; calls in flight are cancelled."""
        self._closed = True
        if self._unary is not None:
            self._unary.close()
        self._channel.close()

    def _failure(self, error: Any, deadline: Deadline, target: Target) -> Exception:
        if self._closed and isinstance(error, grpc.RpcError) and error.code() is grpc.StatusCode.CANCELLED:
            return self.form.closed()  # while the call was under way
        if self.form.spoiled(error):
            self._channel = Channel(self.form)
        return self.form.failure(error, deadline, target)

    def _over_grpcio(self, message: bytes, metadata: Headers | None, deadline: Deadline) -> bytes:
        channel = self._usable(deadline)
        return _unary(self.form, channel, channel.infer, message, metadata, deadline)

    def _usable(self, deadline: Deadline) -> Channel:
        if self._closed:
            raise self.form.closed()
        if not self._channel.usable:
            self._channel = Channel(self.form)
        channel = self._channel
        if deadline.shared and not channel.reached:
            channel.reach(deadline)
        return channel


def _end(call: Any, *, final: bool) -> None:
    """Let a call end that has had its final response, which is all but over; cancel another.

    Triton (24.10) can never unload a model after a call that was cancelled as it ended.
    """
    try:
        for _ in call if final else ():
            pass
    except FAILURES:
        pass  # what was asked for is there
    finally:
        call.cancel()


def _unary(
    form: GrpcExchange, channel: Channel, ask: Any, message: bytes, metadata: Headers | None, deadline: Deadline
) -> bytes:
    """Make a call, again where the server refuses it for the number of those under way."""
    limit, tries = deadline.to_connect(), 0
    if len(message) >= LARGE:
        ask = partial(channel.call_large, ask)
    while True:
        try:
            answer: bytes | None = ask(message, timeout=deadline.left_s(), metadata=metadata)
        except grpc.RpcError as error:
            time.sleep(form.pause_after(error, limit, tries))
            tries += 1
        else:
            form.taken_at = time.monotonic()
            if answer is None:  # what grpcio (1.85) gives for a call that succeeds without one
                raise Garbled("the answer has no message")
            return answer
