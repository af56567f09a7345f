"""The HTTP transport: Triton's REST paths over a pool of kept-alive connections of our own."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from functools import partial
from typing import Any

from tritonforge.client.compression import finish_steps
from tritonforge.client.deadline import Deadline
from tritonforge.client.http_answer import Answer, Dropped
from tritonforge.client.http_connection import Connection
from tritonforge.client.http_exchange import FAILURES, HttpExchange
from tritonforge.client.message import Buffer, Request, Response
from tritonforge.client.options import ConnectionOptions
from tritonforge.client.pool import Pool
from tritonforge.client.questions import Question
from tritonforge.client.url import Endpoint

__all__ = ["HttpTransport"]


class HttpTransport:
    """One server's HTTP endpoint, usable from several threads, and after a fork."""

    def __init__(self, endpoint: Endpoint, options: ConnectionOptions | None = None) -> None:
        options = options or ConnectionOptions()
        self.url = str(endpoint)
        self._form = HttpExchange(endpoint, options)
        self._pool = Pool(partial(Connection, self._form.route), options.max_connections)

    def infer(self, request: Request, deadline: Deadline) -> Response:
        """Send one request and wait for its one response."""
        form = self._form
        parts = self._packed(request, deadline) if form.compresses else form.write_infer(request)
        try:
            answer = self._exchange(parts, deadline)
            return self._form.read_infer(answer, request)
        except FAILURES as error:
            raise self._form.failure(error, deadline, self._form.target(request)) from error

    def stream(self, request: Request, deadline: Deadline) -> Generator[Response, None, None]:
        """Refuse: Triton streams tensors over gRPC only."""
        raise self._form.refuse_stream(request)

    def ask(self, question: Question, deadline: Deadline) -> Any:
        """Ask the server something."""
        parts = self._form.write_question(question)
        try:
            answer = self._exchange(parts, deadline)
            if (doubts := self._form.in_doubt(answer, question)) is not None:
                self._form.resolve(self._exchange(doubts, deadline))
            return self._form.read_reply(answer, question)
        except FAILURES as error:
            raise self._form.failure(error, deadline, self._form.target(question)) from error

    def events(self, question: Question, deadline: Deadline) -> Generator[bytes, None, None]:
        """Give the answer to a question piece by piece. Closing the generator closes its connection."""
        if self._pool.closed:
            raise self._form.closed()
        parts = self._form.write_question(question)
        try:
            self._pool.take_place(deadline)
            try:
                with closing(self._pool.fresh(deadline)) as connection:
                    answer = yield from connection.exchange_chunks(parts, deadline)
                    yield self._form.read_rest(self._plain(answer, deadline), question)
            finally:
                self._pool.free_place()
        except FAILURES as error:
            raise self._form.failure(error, deadline, self._form.target(question)) from error

    def renew(self) -> None:
        """Make connections anew from now on."""
        self._pool.renew()

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def _exchange(self, parts: list[Buffer], deadline: Deadline) -> Answer:
        if self._pool.closed:
            raise self._form.closed()
        pool = self._pool
        connection = pool.take(deadline)
        try:
            answer = self._exchange_on(connection or pool.fresh(deadline), parts, deadline)
        except Dropped as error:
            raise (error if connection else self._form.unwelcome(error)) from error.__cause__
        finally:
            pool.free_place()
        return self._plain(answer, deadline) if "content-encoding" in answer.headers else answer

    def _packed(self, request: Request, deadline: Deadline) -> list[Buffer]:
        form = self._form
        try:
            header_size, steps = form.packing(request)
            return form.write_packed(request, header_size, finish_steps(steps, deadline))
        except TimeoutError as error:
            raise form.failure(error, deadline, form.target(request)) from error

    def _plain(self, answer: Answer, deadline: Deadline) -> Answer:
        steps = self._form.unpacking(answer)
        return answer if steps is None else answer._replace(body=finish_steps(steps, deadline))

    def _exchange_on(self, connection: Connection, parts: list[Buffer], deadline: Deadline) -> Answer:
        try:
            answer = connection.exchange(parts, deadline)
        except BaseException as error:
            connection.close()
            if isinstance(error, Dropped):  # what ended this one may have ended those that are idle, and said nothing
                self._pool.renew()
            raise
        if answer.reusable:
            self._pool.give_back(connection)
        else:
            connection.close()
        return answer
