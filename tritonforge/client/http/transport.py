"""The HTTP transport: Triton's REST paths over a pool of kept-alive connections of our own."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import partial
from typing import Any

from tritonforge.client.connections.pool import Place, Pool
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import ClientError
from tritonforge.client.http.answer import Answer, Dropped
from tritonforge.client.http.compression import finish_steps
from tritonforge.client.http.connection import Connection
from tritonforge.client.http.exchange import FAILURES, HttpExchange
from tritonforge.client.message import Buffer, Request, Response
from tritonforge.client.options import ConnectionOptions
from tritonforge.client.questions import Question
from tritonforge.client.result import Result
from tritonforge.client.tensors.usual import Usual
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
        return self._exchange_on(pool.take(deadline), parts, deadline)

    def exchange_usual(self, request: bytes, usual: Usual | None, deadline: Deadline) -> Answer | Result:
        """Send a request, and give the result of an answer that is the usual one; of another, what `exchange` does."""
        pool = self._pool
        if pool.closed:
            raise self.form.closed()
        place = pool.take(deadline)
        connection = place.connection
        if connection is None or usual is None:
            return self.form.read_as(usual, self._exchange_on(place, (request,), deadline))
        try:
            came = connection.exchange_usual(request, usual, deadline)
        except Dropped as error:
            raise self._unwelcome(place, error) from error.__cause__
        except BaseException:
            self._pool.drop(place)
            raise
        if isinstance(came, Result):
            pool.give_back(place)
            return came
        return self.form.read_as(usual, self._keep(place, came, deadline))

    def _exchange_on(self, place: Place[Connection], parts: Sequence[Buffer], deadline: Deadline) -> Answer:
        connection = kept = place.connection
        try:
            if connection is None:
                connection = self._pool.connect(place, deadline)
            answer = connection.exchange(parts, deadline)
        except Dropped as error:
            raise self._unwelcome(place, error) from error.__cause__
        except BaseException:
            self._pool.drop(place)
            raise
        if kept is None:
            self.form.route.answered = True
        return self._keep(place, answer, deadline)

    def _keep(self, place: Place[Connection], answer: Answer, deadline: Deadline) -> Answer:
        """Keep the connection of an answer for the next request, if it takes one; give the answer uncompressed."""
        if answer.reusable:
            self._pool.give_back(place)
        else:
            self._pool.drop(place)
        return self._plain(answer, deadline) if "content-encoding" in answer.headers else answer

    def _unwelcome(self, place: Place[Connection], error: Dropped) -> Exception:
        """Close the connection that the peer has closed; give the error that it means."""
        self._pool.drop(place)
        self._pool.renew()  # what ended this one may have ended those that are idle, and said nothing
        return self.form.unwelcome(error)

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
