"""One transport over one or several others that retries, balances, and leaves dead servers alone."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

from tritonforge.client.concurrency.blocking import finish
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import ClientError, DeadlineExceeded, ServerUnavailable, Target
from tritonforge.client.message import Request, Response
from tritonforge.client.names import shown
from tritonforge.client.observing.observation import Observer, Watch
from tritonforge.client.questions import BASIC, CHANGES, READINESS, Question
from tritonforge.client.reliable.attempts import Attempts
from tritonforge.client.reliable.replicas import Balance, Breaker, Replica, Replicas
from tritonforge.client.reliable.retries import Budget, Retries
from tritonforge.client.tensors.payload import require_own
from tritonforge.client.transport import AsyncTransport

__all__ = ["Reliability", "ReliableTransport", "in_task", "in_thread"]

T = TypeVar("T")

_LOG = logging.getLogger("tritonforge.client")

_DESCRIPTIONS = frozenset({"model_metadata", "model_config"})
"""What describes a model together, and so is asked of one server: others may have another model of that name."""

Beside = Callable[[Callable[[], Coroutine[Any, Any, None]]], object]
"""Runs a coroutine beside the call that starts it."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """What a client does about servers that fail."""

    retries: Retries
    breaker: Breaker
    balance: Balance


class ReliableTransport:
    """Servers that serve the same models, as one."""

    def __init__(
        self,
        transports: Sequence[AsyncTransport],
        reliability: Reliability,
        beside: Beside,
        observers: Sequence[Observer] = (),
    ) -> None:
        """`observers` are told of circuits. Raise ValueError where the balance is none of its values."""
        self.replicas = Replicas(transports, reliability.balance, reliability.breaker, changed=self._note_circuit)
        self._observers = observers
        self._retries = reliability.retries
        self.budget = Budget(self._retries)
        self._beside = beside
        self.url = ", ".join(transport.url for transport in transports)

    async def infer(
        self,
        request: Request,
        deadline: Deadline,
        watch: Watch | None = None,
        *,
        begun: Awaitable[Response] | None = None,
    ) -> Response:
        """Send one request and wait for its one response. `begun` is the only server's first attempt, if made.

        A response of another model, or to another request, is none.
        """
        self.budget.earn()
        only, attempts = self.replicas.all[0] if begun else self.replicas.only, None
        if only is not None and watch is None:  # most calls end here, with their first attempt
            try:
                response = await _own(begun or only.transport.infer(request, deadline), request, only.transport.url)
            except ClientError as error:
                attempts = self._inference(request, deadline)
                attempts.began(only)
                await self._recover(attempts, only, error)
            else:
                self.replicas.succeeded(only)
                return response
        attempts = attempts or self._inference(request, deadline)
        return await self._run(
            attempts,
            lambda transport, limit: _own(transport.infer(request, limit), request, transport.url),
            watch,
        )

    async def ask(self, question: Question, deadline: Deadline, watch: Watch | None = None) -> Any:
        """Ask a server something; of readiness, whether any says yes."""
        if question.subject in READINESS:
            return await self._ready(question, deadline, watch)
        target = Target(self.url, question.model, question.version)
        changes = question.subject in CHANGES
        self.budget.earn()
        steady = question.subject in _DESCRIPTIONS
        extension = question.subject not in BASIC
        attempts = self._attempts(target, deadline, idempotent=not changes, steady=steady, extension=extension)
        return await self._run(attempts, lambda transport, limit: transport.ask(question, limit), watch)

    def stream(
        self, request: Request, deadline: Deadline, watch: Watch | None = None
    ) -> AsyncGenerator[Response, None]:
        """Give each response as it comes; tried again only where the request was never sent."""
        target = Target(self.url, request.model, request.version, request.id)
        self.budget.earn()
        attempts = self._attempts(
            target, deadline, request=request, idempotent=False, extension=True, able=self._over("grpc")
        )
        return self._iterate("grpc", attempts, lambda transport, limit: transport.stream(request, limit), watch)

    def events(self, question: Question, deadline: Deadline, watch: Watch | None = None) -> AsyncGenerator[bytes, None]:
        """Give an answer piece by piece; tried again as an inference is, as long as nothing of it has come."""
        target = Target(self.url, question.model, question.version)
        self.budget.earn()
        idempotent = "sequence_id" not in question.body
        attempts = self._attempts(target, deadline, idempotent=idempotent, extension=True, able=self._over("http"))
        return self._iterate("http", attempts, lambda transport, limit: transport.events(question, limit), watch)

    async def sleep(self, seconds: float) -> None:
        """Wait, as the transports do."""
        if seconds > 0:
            await self.replicas.all[0].transport.sleep(seconds)

    def renew(self) -> None:
        """Make connections anew from now on."""
        for replica in self.replicas.all:
            replica.transport.renew()

    async def close(self) -> None:
        """Close all connections."""
        for replica in self.replicas.all:
            await replica.transport.close()

    def _inference(self, request: Request, deadline: Deadline) -> Attempts[AsyncTransport]:
        target = Target(self.url, request.model, request.version, request.id)
        return self._attempts(target, deadline, request=request, idempotent=not request.top)  # see `classes`

    def _attempts(
        self,
        target: Target,
        deadline: Deadline,
        *,
        request: Request | None = None,
        idempotent: bool = True,
        steady: bool = False,
        extension: bool = False,
        able: Sequence[Replica[AsyncTransport]] = (),
    ) -> Attempts[AsyncTransport]:
        return Attempts(
            self.replicas,
            self._retries,
            self.budget,
            deadline,
            target,
            request=request,
            idempotent=idempotent,
            steady=steady,
            extension=extension,
            able=able,
        )

    def _over(self, protocol: str) -> list[Replica[AsyncTransport]]:
        """List the servers that are asked over a protocol, on which alone Triton has something."""
        return [replica for replica in self.replicas.all if replica.transport.url.startswith(protocol)]

    async def _run(
        self,
        attempts: Attempts[AsyncTransport],
        ask: Callable[[AsyncTransport, Deadline], Awaitable[T]],
        watch: Watch | None = None,
    ) -> T:
        while True:
            for due in self.replicas.due():
                self._beside(lambda due=due: self._probe(due))  # type: ignore[misc]  # mypy can't infer the default's type
            replica = attempts.begin()
            if watch is not None:
                watch.attempt(replica.transport.url)
            try:
                await self._hear(attempts, replica)
                answer = await ask(replica.transport, attempts.limit())
            except ClientError as error:
                await self._recover(attempts, replica, error, watch)
            except BaseException:
                attempts.abandoned(replica)
                raise
            else:
                attempts.succeeded(replica)
                return answer

    async def _recover(
        self,
        attempts: Attempts[AsyncTransport],
        replica: Replica[AsyncTransport],
        error: ClientError,
        watch: Watch | None = None,
    ) -> None:
        """Note that an attempt failed, and wait until the next one is to be made. Raise the error where none is."""
        try:
            self._renew(replica, error, attempts.deadline)
            delay_s = attempts.failed(replica, error)
            _note_retry(replica.transport.url, error, delay_s, watch)
        finally:
            del error  # as in `failed`
        await self.sleep(delay_s)

    async def _iterate(
        self,
        protocol: str,
        attempts: Attempts[AsyncTransport],
        start: Callable[[AsyncTransport, Deadline], AsyncGenerator[T, None]],
        watch: Watch | None = None,
    ) -> AsyncGenerator[T, None]:
        answered = False
        while True:
            replica = attempts.begin()
            if watch is not None:
                watch.attempt(replica.transport.url)
            try:
                if replica.transport.url.startswith(protocol):  # any other refuses
                    await self._hear(attempts, replica)
                async with aclosing(start(replica.transport, attempts.limit())) as items:
                    async for item in items:
                        answered = True
                        yield item
            except ClientError as error:
                delay_s = attempts.failed(replica, error, answered=answered)
                _note_retry(replica.transport.url, error, delay_s, watch)
                await self.sleep(delay_s)
            except BaseException:
                attempts.abandoned(replica)
                raise
            else:
                attempts.succeeded(replica)
                return

    async def _ready(self, question: Question, deadline: Deadline, watch: Watch | None = None) -> bool:
        """Ask each once, whatever its circuit: who asks this wants to know, and will ask again."""
        failure: ClientError | None = None
        asked = sorted(self.replicas.all, key=lambda replica: (replica.open, replica.passed_over))
        for replica in asked:
            if watch is not None:
                watch.attempt(replica.transport.url)
            try:
                limit = deadline if replica is asked[-1] else deadline.share()
                if await _ask_ready(replica.transport, question, limit):
                    self.replicas.succeeded(replica)
                    return True
            except ClientError as error:
                failure = error
            else:
                failure = None
        if failure is not None:
            raise failure
        return False

    async def _hear(self, attempts: Attempts[AsyncTransport], replica: Replica[AsyncTransport]) -> None:
        """Have a server that never answered say something, before a request goes there that will be waited for.

        Raise ServerUnavailable, of a request that wasn't sent, where it answers nothing, or isn't Triton.
        """
        limit = attempts.hearing(replica)
        if limit is None:
            return
        try:
            await replica.transport.ask(Question("server_live"), limit)
        except ServerUnavailable as error:
            if error.foreign or not error.code:
                error.sent = False
                raise
        except DeadlineExceeded as error:
            if error.of_token:
                return
            if not error.code:
                reason = f"asked whether it is live: {error.reason}"
                raise ServerUnavailable(reason, error.target, sent=False, silent=True) from error
        except ClientError:
            pass  # an answer, too
        self.replicas.succeeded(replica)

    async def _probe(self, replica: Replica[AsyncTransport]) -> None:
        try:
            deadline = Deadline(self.replicas.breaker.probe_s)
            ready = await replica.transport.ask(Question("server_ready"), deadline)
        except (ClientError, RuntimeError) as error:  # the latter of a client that has been closed meanwhile
            ready = False
            if isinstance(error, DeadlineExceeded) and not (error.code or error.of_token):
                replica.transport.renew()  # the server may be back, and this connection dead
        (self.replicas.succeeded if ready else self.replicas.failed)(replica)

    def _renew(self, replica: Replica[AsyncTransport], error: ClientError, deadline: Deadline) -> None:
        """Leave connections that seem to be dead, as one that a firewall has forgotten, or that is stuck mid-frame."""
        late = isinstance(error, DeadlineExceeded) and not (error.code or error.of_token)
        if late and self.replicas.overdue(replica, deadline.began):
            _LOG.debug("%s has answered nothing in time; connections are made anew", replica.transport.url)
            replica.transport.renew()

    def _note_circuit(self, replica: Replica[AsyncTransport]) -> None:
        url = replica.transport.url
        if replica.open:
            _LOG.debug("%s is left alone for a while, after %d failures in a row", url, replica.failures)
        else:
            _LOG.debug("%s takes calls again", url)
        for observer in self._observers:
            observer.circuit(url, opened=replica.open)


async def _ask_ready(transport: AsyncTransport, question: Question, limit: Deadline) -> bool:
    """Ask of readiness; once more where the connection broke, as a kept one does that a proxy closes just then."""
    try:
        return bool(await transport.ask(question, limit))
    except ServerUnavailable as error:
        if error.code or error.foreign or error.silent or not error.sent:
            raise
    return bool(await transport.ask(question, limit))


async def _own(answering: Awaitable[Response], request: Request, url: str) -> Response:
    """Await a response. Raise ServerUnavailable where it is of another model, or to another request."""
    response = await answering
    require_own(response, Target(url, request.model, request.version, request.id))
    return response


def _note_retry(url: str, error: ClientError, delay_s: float, watch: Watch | None) -> None:
    _LOG.debug(
        "%s failed a call to %s: %s; the next attempt in %.3f s",
        url,
        shown(error.model) or "the server",
        error.kind,
        delay_s,
    )
    if watch is not None:
        watch.retry(url, error, delay_s)


def in_thread(start: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run what blocks in a thread of its own, which keeps no process alive."""
    threading.Thread(target=lambda: finish(start()), name="tritonforge-probe", daemon=True).start()


def in_task() -> Beside:
    """Give what runs coroutines as tasks of the running loop, and keeps them until they are over."""
    tasks: set[asyncio.Task[None]] = set()

    def start_task(start: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = asyncio.ensure_future(start())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    return start_task
