"""The gRPC transport, over grpcio: messages are written and read here, so its stubs pass bytes."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import grpc

from tritonforge.client.deadline import Deadline
from tritonforge.client.grpc_exchange import FAILURES, INFER, STREAM, GrpcExchange, path
from tritonforge.client.grpc_questions import SUBJECTS, parse_answer, procedure, serialize_question
from tritonforge.client.message import Request, Response
from tritonforge.client.options import ConnectionOptions
from tritonforge.client.questions import Question
from tritonforge.client.url import Endpoint

__all__ = ["GrpcTransport"]


class GrpcTransport:
    """One server's gRPC endpoint, usable from several threads."""

    def __init__(self, endpoint: Endpoint, options: ConnectionOptions | None = None) -> None:
        self.url = str(endpoint)
        self._form = GrpcExchange(endpoint, options or ConnectionOptions())
        self._channel = _Channel(self._form)
        self._closed = False

    def infer(self, request: Request, deadline: Deadline) -> Response:
        """Send one request and wait for its one response."""
        try:
            data = self._usable().infer(
                self._form.write_infer(request), timeout=deadline.left_s(), metadata=self._form.metadata()
            )
            return self._form.read_infer(data)
        except FAILURES as error:
            raise self._form.failure(error, deadline, self._form.target(request)) from error

    def stream(self, request: Request, deadline: Deadline) -> Generator[Response, None, None]:
        """Send one request and give each response as it comes. Closing the generator cancels the request."""
        target = self._form.target(request)
        message = self._form.write_stream(request)
        try:
            call = self._usable().stream(iter([message]), timeout=deadline.left_s(), metadata=self._form.metadata())
        except TimeoutError as error:
            raise self._form.failure(error, deadline, target) from error
        try:
            for data in call:
                response, final = self._form.read_stream(data, target)
                if response is not None:
                    yield response
                if final:
                    return
        except FAILURES as error:
            raise self._form.failure(error, deadline, target) from error
        finally:
            call.cancel()

    def ask(self, question: Question, deadline: Deadline) -> Any:
        """Ask the server something."""
        message = serialize_question(question)
        try:
            data = self._usable().procedures[procedure(question)](
                message, timeout=deadline.left_s(), metadata=self._form.metadata()
            )
            return parse_answer(question, data)
        except FAILURES as error:
            raise self._form.failure(error, deadline, self._form.target(question)) from error

    def events(self, question: Question, deadline: Deadline) -> Generator[bytes, None, None]:
        """Refuse: what is asked so is of the HTTP API only."""
        raise self._form.refuse_events(question)

    def close(self) -> None:
        """Close the channel; calls in flight are cancelled."""
        self._closed = True
        self._channel.close()

    def _usable(self) -> _Channel:
        if self._closed:
            raise self._form.closed()
        if self._channel.owner != os.getpid():  # a forked child must not speak over its parent's connection
            self._channel = _Channel(self._form)
        return self._channel


class _Channel:
    """A channel of one process, and its procedures."""

    __slots__ = ("_channel", "infer", "owner", "procedures", "stream")

    def __init__(self, form: GrpcExchange) -> None:
        options = {"options": form.options, "compression": form.compression}
        self.owner = os.getpid()
        if form.credentials is None:
            self._channel = grpc.insecure_channel(form.authority, **options)
        else:
            self._channel = grpc.secure_channel(form.authority, form.credentials, **options)
        self.infer = self._channel.unary_unary(INFER)
        self.stream = self._channel.stream_stream(STREAM)
        self.procedures = {name: self._channel.unary_unary(path(name)) for name, _ in SUBJECTS.values()}

    def close(self) -> None:
        """Cancel the calls in flight, and disconnect; nothing in a forked child."""
        if self.owner == os.getpid():
            self._channel.close()
