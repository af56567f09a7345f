"""The HTTP transport: Triton's REST paths over a pool of kept-alive connections of our own."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import partial
from typing import Any

from tritonforge.client.connections.pool import Pool
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import ClientError
from tritonforge.client.http.answer import Answer, Dropped
from tritonforge.client.http.compression import finish_steps
from tritonforge.client.http.connection import Connection
from tritonforge.client.http.exchange import FAILURES, HttpExchange
from tritonforge.client.message import Buffer, Request, Response
from tritonforge.client.options import ConnectionOptions
from tritonforge.client.questions import Question
from tritonforge.client.url import Endpoint

__all__ = ["HttpTransport"]


class HttpTransport:
    """One server's HTTP endpoint, usable from several threads, and after a fork."""

    def __init__(self, endpoint: Endpoint, options: ConnectionOptions | None = None) -> None:
        options = options or ConnectionOptions()
        self.url = str(endpoint)
        self.form = HttpExchange(endpoint, options)
        self._pool = Pool(partial(Connection, self.form.route), options.max_connections)

    def infer(self, request: Request, deadline: Deadline) -> Response:
        """Send one request and wait for its one response."""
        form = self.form
        parts = self._packed(request, deadline) if form.compresses else form.write_infer(request)
        try:
            return form.read_infer(self.exchange(parts, deadline), request)
        except ClientError:
            raise
        except FAILURES as error:
            raise form.failure(error, deadline, form.target(request)) from error

    def stream(self, request: Request, deadline: Deadline) -> Generator[Response, None, None]:
        """Refuse: Triton streams tensors over gRPC only."""
        raise self.form.refuse_stream(request)

    def ask(self, question: Question, deadline: Deadline) -> Any:
        """Ask the server something."""
        parts = self.form.write_question(question)
        try:
            answer = self.exchange(parts, deadline)
            if (doubts := self.form.in_doubt(answer, question)) is not None:
                self.form.resolve(self.exchange(doubts, deadline))
            return self.form.read_reply(answer, question)
        except ClientError:
            raise
        except FAILURES as error:
            raise self.form.failure(error, deadline, self.form.target(question)) from error

    def events(self, question: Question, deadline: Deadline) -> Generator[bytes, None, None]:
        """Give the answer to a question piece by piece. Closing the generator closes its connection."""
        if self._pool.closed:
            raise self.form.closed()
        parts = self.form.write_question(question)
        try:
            place = self._pool.take_free(deadline)
            try:
                connection = self._pool.connect(place, deadline)
                answer = yield from connection.exchange_chunks(parts, deadline)
                yield self.form.read_rest(self._plain(answer, deadline), question)
            finally:
                self._pool.drop(place)
        except ClientError:
            raise
        except FAILURES as error:
            raise self.form.failure(error, deadline, self.form.target(question)) from error

    def exchange(self, parts: Sequence[Buffer], deadline: Deadline) -> Answer:
        """Send the parts of a request, and give the answer. Raise what is among FAILURES, RuntimeError once closed."""
        pool = self._pool
        if pool.closed:
            raise self.form.closed()
        place = pool.take(deadline)
        connection = kept = place.connection
        try:
            if connection is None:
                connection = pool.connect(place, deadline)
            answer = connection.exchange(parts, deadline)
        except BaseException as error:
            pool.drop(place)
            if not isinstance(error, Dropped):
                raise
            pool.renew()  # what ended this one may have ended those that are idle, and said nothing
            raise self.form.unwelcome(error) from error.__cause__
        if kept is None:
            self.form.route.answered = True
        if answer.reusable:
            pool.give_back(place)
        else:
            pool.drop(place)
        return self._plain(answer, deadline) if "content-encoding" in answer.headers else answer

    def conclude(self, outcome: Answer | Exception, request: Request, deadline: Deadline) -> Response:
        """Read what came of an exchange, or what it raised. Raise the ClientError that it is."""
        return self.form.conclude(outcome, request, deadline)

    def renew(self) -> None:
        """Make connections anew from now on."""
        self._pool.renew()

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def _packed(self, request: Request, deadline: Deadline) -> list[Buffer]:
        form = self.form
        try:
            header_size, steps = form.packing(request)
            return form.write_packed(request, header_size, finish_steps(steps, deadline))
        except TimeoutError as error:
            raise form.failure(error, deadline, form.target(request)) from error

    def _plain(self, answer: Answer, deadline: Deadline) -> Answer:
        steps = self.form.unpacking(answer)
        return answer if steps is None else answer._replace(body=finish_steps(steps, deadline))
