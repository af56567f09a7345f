"""One transport over one or several others that retries, balances, and leaves dead servers alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

from tritonforge.client.attempts import Attempts
from tritonforge.client.blocking import finish
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import ClientError, Target
from tritonforge.client.message import Request, Response
from tritonforge.client.questions import CHANGES, READINESS, Question
from tritonforge.client.replicas import Balance, Breaker, Replica, Replicas
from tritonforge.client.retries import Budget, Retries
from tritonforge.client.transport import AsyncTransport

__all__ = ["Reliability", "ReliableTransport", "in_task", "in_thread"]

T = TypeVar("T")

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

    def __init__(self, transports: Sequence[AsyncTransport], reliability: Reliability, beside: Beside) -> None:
        """Raise ValueError where the balance is none of its values."""
        self._replicas = Replicas(transports, reliability.balance, reliability.breaker)
        self._retries = reliability.retries
        self._budget = Budget(self._retries)
        self._beside = beside
        self.url = ", ".join(transport.url for transport in transports)

    async def infer(self, request: Request, deadline: Deadline) -> Response:
        """Send one request and wait for its one response."""
        target = Target(self.url, request.model, request.version, request.id)
        attempts = self._attempts(target, deadline, request=request)
        return await self._run(attempts, lambda transport: transport.infer(request, deadline))

    async def ask(self, question: Question, deadline: Deadline) -> Any:
        """Ask a server something; of readiness, whether any says yes."""
        if question.subject in READINESS:
            return await self._ready(question, deadline)
        target = Target(self.url, question.model, question.version)
        changes = question.subject in CHANGES
        attempts = self._attempts(target, deadline, idempotent=not changes)
        return await self._run(attempts, lambda transport: transport.ask(question, deadline))

    def stream(self, request: Request, deadline: Deadline) -> AsyncGenerator[Response, None]:
        """Give each response as it comes; tried again only where the request was never sent."""
        target = Target(self.url, request.model, request.version, request.id)
        attempts = self._attempts(target, deadline, request=request, idempotent=False)
        return self._iterate(attempts, lambda transport: transport.stream(request, deadline))

    def events(self, question: Question, deadline: Deadline) -> AsyncGenerator[bytes, None]:
        """Give an answer piece by piece; tried again only where the question was never sent."""
        target = Target(self.url, question.model, question.version)
        attempts = self._attempts(target, deadline, idempotent=False)
        return self._iterate(attempts, lambda transport: transport.events(question, deadline))

    async def sleep(self, seconds: float) -> None:
        """Wait, as the transports do."""
        if seconds > 0:
            await self._replicas.all[0].transport.sleep(seconds)

    async def close(self) -> None:
        """Close all connections."""
        for replica in self._replicas.all:
            await replica.transport.close()

    def _attempts(
        self,
        target: Target,
        deadline: Deadline,
        *,
        request: Request | None = None,
        idempotent: bool = True,
    ) -> Attempts[AsyncTransport]:
        return Attempts(
            self._replicas,
            self._retries,
            self._budget,
            deadline,
            target,
            request=request,
            idempotent=idempotent,
        )

    async def _run(self, attempts: Attempts[AsyncTransport], ask: Callable[[AsyncTransport], Awaitable[T]]) -> T:
        while True:
            for due in self._replicas.due():
                self._beside(lambda due=due: self._probe(due))  # type: ignore[misc]  # mypy can't infer the default's type
            replica = attempts.begin()
            try:
                answer = await ask(replica.transport)
            except ClientError as error:
                await self.sleep(attempts.failed(replica, error))
            except BaseException:
                attempts.abandoned(replica)
                raise
            else:
                attempts.succeeded(replica)
                return answer

    async def _iterate(
        self, attempts: Attempts[AsyncTransport], start: Callable[[AsyncTransport], AsyncGenerator[T, None]]
    ) -> AsyncGenerator[T, None]:
        while True:
            replica = attempts.begin()
            try:
                async with aclosing(start(replica.transport)) as items:
                    async for item in items:
                        yield item
            except ClientError as error:
                await self.sleep(attempts.failed(replica, error))
            except BaseException:
                attempts.abandoned(replica)
                raise
            else:
                attempts.succeeded(replica)
                return

    async def _ready(self, question: Question, deadline: Deadline) -> bool:
        """Ask each once, whatever its circuit: who asks this wants to know, and will ask again."""
        failure: ClientError | None = None
        for replica in sorted(self._replicas.all, key=lambda replica: replica.open):
            try:
                if await replica.transport.ask(question, deadline):
                    self._replicas.succeeded(replica)
                    return True
            except ClientError as error:
                failure = error
            else:
                failure = None
        if failure is not None:
            raise failure
        return False

    async def _probe(self, replica: Replica[AsyncTransport]) -> None:
        try:
            deadline = Deadline(self._replicas.breaker.probe_s)
            ready = await replica.transport.ask(Question("server_ready"), deadline)
        except (ClientError, RuntimeError):  # the latter of a client that has been closed meanwhile
            ready = False
        (self._replicas.succeeded if ready else self._replicas.failed)(replica)


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
