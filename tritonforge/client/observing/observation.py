"""Calls as something beside them sees them: what tracing and metrics are told, and the transport that tells them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, NamedTuple, Protocol

from tritonforge.client.call_headers import asked_with, with_headers
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import ClientError, Target
from tritonforge.client.http.events import Events
from tritonforge.client.message import Headers, Request, Response
from tritonforge.client.questions import Question
from tritonforge.client.transport import TransportOver

__all__ = ["Call", "ObservedTransport", "Observer", "Watch", "Watched"]


class Call(NamedTuple):
    """A call as it begins. `subject` is "infer", "stream", or that of a question.

    `rows` is the batch of an inference, 0 where the model isn't known to batch; `size` are its tensors' bytes.
    """

    subject: str
    target: Target
    rows: int = 0
    size: int = 0


class Watch(Protocol):
    """One call that is being watched; told things one at a time, from whichever thread runs the call."""

    @property
    def headers(self) -> Headers:
        """What is to go with the call."""

    def attempt(self, url: str) -> None:
        """Note that the server at `url` is asked."""

    def retry(self, url: str, error: ClientError, delay_s: float) -> None:
        """Note that the attempt there failed, and that another follows in so many seconds."""

    def came(self, size: int, version: str = "") -> None:
        """Note a response with so many bytes of tensors, or of text, from a version of the model."""

    def done(self, error: BaseException | None) -> None:
        """Note the end: what was raised, GeneratorExit by who reads no further, or None."""


class Observer(Protocol):
    """Who wants to know of a client's calls. What it is told must not raise."""

    def idle(self) -> bool:
        """Tell whether there is nobody to tell now: `watch` would give None, and costs more."""

    def watch(self, call: Call) -> Watch | None:
        """Begin to watch a call; None where there is nobody to tell."""

    def circuit(self, url: str, *, opened: bool) -> None:
        """Note that the server at `url` is left alone from now on, or no longer."""

    def close(self) -> None:
        """Note that there will be no more calls."""


class Watched(Protocol):
    """A transport that tells a watch of its attempts."""

    @property
    def url(self) -> str: ...
    async def infer(self, request: Request, deadline: Deadline, watch: Watch | None = None) -> Response: ...
    async def ask(self, question: Question, deadline: Deadline, watch: Watch | None = None) -> Any: ...
    def stream(
        self, request: Request, deadline: Deadline, watch: Watch | None = None
    ) -> AsyncGenerator[Response, None]: ...
    def events(
        self, question: Question, deadline: Deadline, watch: Watch | None = None
    ) -> AsyncGenerator[bytes, None]: ...
    async def sleep(self, seconds: float) -> None: ...
    def renew(self) -> None: ...
    async def close(self) -> None: ...


class ObservedTransport(TransportOver[Watched]):
    """Another transport, whose calls observers watch. Only clients that are observed have one."""

    def __init__(self, inner: Watched, observers: Sequence[Observer]) -> None:
        super().__init__(inner)
        self._observers = observers
        self._batching: set[tuple[str, str]] = set()

    async def infer(self, request: Request, deadline: Deadline) -> Response:
        """Send one request and wait for its one response."""
        watch = None
        for observer in self._observers:
            if not observer.idle():
                watch = self._begin(self._inference("infer", request))
                break
        if watch is None:
            return await self._inner.infer(request, deadline)
        try:
            response = await self._inner.infer(with_headers(request, watch.headers), deadline, watch)
            watch.came(_size(response), response.version)
        except BaseException as error:
            watch.done(error)
            raise
        watch.done(None)
        return response

    async def ask(self, question: Question, deadline: Deadline) -> Any:
        """Ask the server something."""
        watch = self._begin(self._question(question))
        try:
            asked = asked_with(question, watch.headers) if watch else question
            answer = await self._inner.ask(asked, deadline, watch)
        except BaseException as error:
            if watch is not None:
                watch.done(error)
            raise
        if watch is not None:
            watch.done(None)
        # Whether a model batches is told by its configuration, which each client asks for before its first call.
        if question.subject == "model_config" and isinstance(answer, dict) and answer.get("max_batch_size"):
            self._batching.add((question.model, question.version))
        return answer

    def stream(self, request: Request, deadline: Deadline) -> AsyncGenerator[Response, None]:
        """Send one request and give each response as it comes."""
        watch = self._begin(self._inference("stream", request))
        if watch is None:
            return self._inner.stream(request, deadline)
        return _watched(self._inner.stream(with_headers(request, watch.headers), deadline, watch), watch)

    def events(self, question: Question, deadline: Deadline) -> AsyncGenerator[bytes, None]:
        """Ask what is answered piece by piece."""
        watch = self._begin(self._question(question))
        if watch is None:
            return self._inner.events(question, deadline)
        pieces = self._inner.events(asked_with(question, watch.headers), deadline, watch)
        return _watched_pieces(pieces, watch, whole=question.subject == "generate")

    async def close(self) -> None:
        """Close all connections."""
        await super().close()
        for observer in self._observers:
            observer.close()

    def _inference(self, subject: str, request: Request) -> Call:
        target = Target(self.url, request.model, request.version, request.id)
        batches = (request.model, request.version) in self._batching
        rows = next((tensor.shape[0] for tensor in request.inputs if tensor.shape), 0) if batches else 0
        return Call(subject, target, rows, sum([len(tensor.data) for tensor in request.inputs]))

    def _question(self, question: Question) -> Call:
        return Call(question.subject, Target(self.url, question.model, question.version))

    def _begin(self, call: Call) -> Watch | None:
        watches = [watch for observer in self._observers if (watch := observer.watch(call)) is not None]
        return _Watches(watches) if len(watches) > 1 else watches[0] if watches else None


class _Watches:
    """Several watches as one."""

    __slots__ = ("_all", "headers")

    def __init__(self, watches: Sequence[Watch]) -> None:
        self._all = watches
        self.headers: Headers = tuple(header for watch in watches for header in watch.headers)

    def attempt(self, url: str) -> None:
        for watch in self._all:
            watch.attempt(url)

    def retry(self, url: str, error: ClientError, delay_s: float) -> None:
        for watch in self._all:
            watch.retry(url, error, delay_s)

    def came(self, size: int, version: str = "") -> None:
        for watch in self._all:
            watch.came(size, version)

    def done(self, error: BaseException | None) -> None:
        for watch in self._all:
            watch.done(error)


async def _watched(responses: AsyncGenerator[Response, None], watch: Watch) -> AsyncGenerator[Response, None]:
    try:
        async with aclosing(responses):
            async for response in responses:
                watch.came(_size(response), response.version)
                yield response
    except BaseException as error:
        watch.done(error)
        raise
    watch.done(None)


async def _watched_pieces(
    pieces: AsyncGenerator[bytes, None], watch: Watch, *, whole: bool
) -> AsyncGenerator[bytes, None]:
    """Watch what comes in pieces: responses are the events in them, or the `whole` is one."""
    events, size = Events(), 0
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                size += len(piece)
                for event in () if whole else events.feed(piece):
                    watch.came(len(event))
                yield piece
        if whole:
            watch.came(size)
    except BaseException as error:
        watch.done(error)
        raise
    watch.done(None)


def _size(response: Response) -> int:
    return sum([len(tensor.data) for tensor in response.outputs])
