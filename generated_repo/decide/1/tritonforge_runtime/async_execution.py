"""Executions of `async` models: `execute` returns at once, and the answers go out when they are there.

So an instance takes the next requests while earlier ones wait for what they await. Triton lets a model that answers
once send its answer later, by a response sender, as a decoupled one does (seen in 24.10).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any, NamedTuple

from .asynchronous import Loop
from .batch import Array, Inputs, all_rows, group, rows, stack
from .errors import CAUGHT, InvalidResult
from .failure import Failures
from .outputs import Outputs
from .padding import Padding
from .spec import ModelSpec
from .wire import Request, Response, Sender, Wire

__all__ = ["AsyncExecution", "AsyncStreams"]

_MOST_CALLS = 256
_MOST_STREAMS = 1024
"""How many an instance runs at once. Past that `execute` waits, and further requests queue in the server."""

_CANCELLATION_S = 0.01
"""How often a stream asks whether its client has gone: it costs a round trip to the server's process."""

_UNLOADED = ("the model is being unloaded", "UNAVAILABLE")


class _Owner(NamedTuple):
    """Whom an answer goes to; `asks` is `Wire.asks` of the request."""

    sender: Sender
    asks: bool


class AsyncExecution:
    """Runs a coroutine function on requests; calls of several executions are under way at once.

    Where it is `stacked`, requests that came together and are alike share a call.
    """

    in_loop = True

    def __init__(
        self,
        spec: ModelSpec,
        wire: Wire,
        function: Callable[..., Any],
        failures: Failures,
        *,
        padding: Padding | None = None,
        stacked: bool = True,
    ) -> None:
        self._wire = wire
        self._function = function
        self._failures = failures
        self._outputs = Outputs(spec)
        self._padding = padding
        self._names = (*spec.arguments, *(padding.masks if padding else ()))
        self._stacked = stacked and spec.batched
        self._loop = Loop(_MOST_CALLS)

    def __call__(self, requests: Sequence[Request]) -> None:
        """Start the calls that answer the requests."""
        owners = [_Owner(request.get_response_sender(), self._wire.asks(request)) for request in requests]
        readable: list[tuple[int, Inputs]] = []
        for index, request in enumerate(requests):
            try:
                inputs = self._wire.read(request)
                if self._padding is not None:
                    self._padding.sizes(inputs)
                readable.append((index, inputs))
            except CAUGHT as error:
                self._send(owners[index], self._fail(error, owners[index]))
        for group_ in self._groups(readable):
            given = [inputs for _, inputs in group_]
            theirs = [owners[index] for index, _ in group_]
            self._start(given, theirs)

    def close(self, last: Callable[[], Any] | None = None) -> None:
        """Cancel the calls that are under way; their requests are answered so. Run `last` before the loop ends."""
        self._loop.close(last)

    def _start(self, given: Sequence[Inputs], owners: Sequence[_Owner]) -> None:
        def failed(error: BaseException) -> None:
            for owner in owners:  # one that has its answer takes no other
                self._send(owner, self._fail(error, owner))

        try:
            self._loop.start(lambda: self._serve(given, owners), failed)
        except CAUGHT as error:
            failed(error)

    def _groups(self, readable: list[tuple[int, Inputs]]) -> list[list[tuple[int, Inputs]]]:
        if not self._stacked:
            return [[one] for one in readable]
        return self._padding.group(readable) if self._padding else group(readable)

    async def _serve(self, given: Sequence[Inputs], owners: Sequence[_Owner]) -> None:
        """Call the function once for a group; where that fails, for each request by itself, to find the culprits.

        Each answer is sent in the step of the loop in which its call returns: later another call may have filled the
        buffer that it is in.
        """
        sizes = all_rows(given)
        if len(given) == 1:
            await self._answer(given[0], owners[0])
            return
        if sizes is None:
            await asyncio.gather(*map(self._answer, given, owners))
            return
        try:
            responses = await self._respond(given, sizes)
        except CAUGHT as error:
            if self._loop.closing:
                raise
            failure = error
        else:
            for owner, response in zip(owners, responses, strict=True):
                self._send(owner, response)
            return
        if all(await asyncio.gather(*map(self._answer, given, owners))):
            self._failures.log(failure, f"failed for {len(given)} requests stacked, and for none of them alone")

    async def _answer(self, inputs: Inputs, owner: _Owner) -> bool:
        """Answer one request; say whether its call succeeded."""
        try:
            size = rows(inputs)
            if self._padding is not None and size is not None:
                (response,) = await self._respond([inputs], [size])
            else:
                response = self._wire.response(await self._call(inputs, size))
        except CAUGHT as error:
            self._send(owner, self._fail(error, owner))
            return False
        self._send(owner, response)
        return True

    async def _respond(self, given: Sequence[Inputs], sizes: Sequence[int]) -> list[Response]:
        if self._padding is None:
            return self._wire.responses(await self._call(stack(given), sum(sizes)), sizes)
        inputs, cut = self._padding.stack(given, sizes)
        return [self._wire.response(outputs) for outputs in cut(await self._call(inputs, sum(sizes)))]

    async def _call(self, inputs: Inputs, expected: int | None) -> list[Array]:
        result = await self._function(**dict(zip(self._names, inputs, strict=True)))
        return self._outputs.arrange(result, expected)

    def _fail(self, error: BaseException, owner: _Owner) -> Response:
        if self._loop.closing and isinstance(error, asyncio.CancelledError):
            return self._wire.error(*_UNLOADED, told=owner.asks)
        self._failures.log(error, "request failed")
        return self._wire.error(*self._failures.describe(error), told=owner.asks)

    def _send(self, owner: _Owner, response: Response) -> None:
        with suppress(Exception):  # the client is gone, or all is ending: there is nobody left to tell
            self._wire.finish(owner.sender, response)


class AsyncStreams:
    """Runs an async generator function, one task for each stream."""

    in_loop = True

    def __init__(self, spec: ModelSpec, wire: Wire, function: Callable[..., Any], failures: Failures) -> None:
        self._wire = wire
        self._function = function
        self._failures = failures
        self._outputs = Outputs(spec)
        self._names = spec.arguments
        self._loop = Loop(_MOST_STREAMS)

    def __call__(self, requests: Sequence[Request]) -> None:
        """Start a stream for each request; the responses go out by themselves."""
        for request in requests:
            sender = request.get_response_sender()
            failed = partial(self._failed, sender)
            try:
                self._loop.start(partial(self._stream, sender, self._wire.read(request)), failed)
            except CAUGHT as error:
                failed(error)

    def close(self, last: Callable[[], Any] | None = None) -> None:
        """End all streams. Run `last` before the loop ends."""
        self._loop.close(last)

    async def _stream(self, sender: Sender, inputs: Inputs) -> None:
        """Send what the function yields; the final flag goes out once, whatever happens."""
        expected = rows(inputs)
        results = self._function(**dict(zip(self._names, inputs, strict=True)))
        if not isinstance(results, AsyncIterator):
            raise InvalidResult(f"gives {type(results).__name__}; wanted an async iterator, as `yield` in it makes")
        try:
            asked = monotonic()
            async for result in results:
                now = monotonic()
                if now - asked > _CANCELLATION_S:
                    asked = now
                    if sender.is_cancelled():
                        self._finish(sender, "the client cancelled the request", "CANCELLED")
                        return
                self._wire.send(sender, self._wire.response(self._outputs.arrange(result, expected)))
        finally:
            close = getattr(results, "aclose", None)
            if close is not None:
                await close()
        self._wire.finish(sender)

    def _failed(self, sender: Sender, error: BaseException) -> None:
        if self._loop.closing and isinstance(error, asyncio.CancelledError):
            self._finish(sender, *_UNLOADED)
            return
        self._failures.log(error, "stream failed")
        self._finish(sender, *self._failures.describe(error))

    def _finish(self, sender: Sender, message: str, code: str) -> None:
        with suppress(Exception):  # the client is gone, or the final flag is out: there is nobody left to tell
            self._wire.finish(sender, self._wire.error(message, code))
