"""One execution of a model that answers each request once: stack, call, split; one bad request fails alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import perf_counter
from typing import Any

from .batch import Array, Inputs, group, rows, stack
from .errors import CAUGHT
from .failure import Failures
from .outputs import Outputs
from .padding import Padding
from .spec import ModelSpec
from .wire import Request, Response, Wire

__all__ = ["Execution", "SeparateExecution"]

_PATIENCE_S = 0.005
"""How long a call must have taken, for each request, before cancellation is asked for. To ask costs 60 µs a request
(a round trip to the server's process; Triton 24.10), and the server drops what is cancelled while it queues."""

_MOST_AT_ONCE = 32


class Execution:
    """Runs a function on the requests that Triton hands over together."""

    def __init__(
        self,
        spec: ModelSpec,
        wire: Wire,
        function: Callable[..., Any],
        failures: Failures,
        *,
        padding: Padding | None = None,
    ) -> None:
        self._wire = wire
        self._function = function
        self._failures = failures
        self._outputs = Outputs(spec)
        self._padding = padding
        self._names = (*(tensor.name for tensor in spec.inputs), *(padding.masks if padding else ()))
        self._batched = spec.batched
        self._uniform = not any(tensor.optional or -1 in tensor.dims for tensor in spec.inputs)
        self._last_call_s = 0.0

    def __call__(self, requests: Sequence[Request]) -> list[Response]:
        """Answer every request, in order."""
        if len(requests) == 1:
            return [self._answer_alone(requests[0])]
        if not self._batched:
            return [self._answer_alone(request) for request in requests]
        responses: list[Response] = [None] * len(requests)
        for stacked in self._groups(requests, responses):
            self._answer_stacked(stacked, requests, responses)
        return responses

    def _groups(self, requests: Sequence[Request], responses: list[Response]) -> list[list[tuple[int, Inputs]]]:
        """Read the requests and group those that can be stacked; those that can't be read get their response here."""
        ask = self._last_call_s > _PATIENCE_S * len(requests)
        if self._uniform and self._padding is None and not ask:
            with suppress(*CAUGHT):  # what is wrong with one is found below
                return [list(enumerate(map(self._wire.read, requests)))]
        readable: list[tuple[int, Inputs]] = []
        for index, request in enumerate(requests):
            inputs, responses[index] = self._read(request, ask=ask)
            if inputs is not None:
                readable.append((index, inputs))
        if self._padding is not None:
            return self._padding.group(readable)
        if self._uniform:
            return [readable] if readable else []
        return group(readable)

    def _read(self, request: Request, *, ask: bool) -> tuple[Inputs | None, Response]:
        """Read a request, or give its response at once; `ask` whether it was cancelled."""
        try:
            if ask and request.is_cancelled():
                return None, self._cancelled()
            inputs = self._wire.read(request)
            if self._padding is not None:
                self._padding.sizes(inputs)  # a request that can't be padded fails here, before it is stacked
        except CAUGHT as error:
            return None, self._fail(error)
        return inputs, None

    def _answer_stacked(
        self, stacked: list[tuple[int, Inputs]], requests: Sequence[Request], responses: list[Response]
    ) -> None:
        """Call the function once for a group. Where that fails, once for each request, to find the culprits."""
        sizes = [size for _, inputs in stacked if (size := rows(inputs)) is not None]
        if len(stacked) == 1 or len(sizes) < len(stacked):
            for index, inputs in stacked:
                responses[index] = self._answer(inputs)
            return
        try:
            answers = self._respond([inputs for _, inputs in stacked], sizes)
        except CAUGHT as error:
            failure = error
        else:
            for (index, _), answer in zip(stacked, answers, strict=True):
                responses[index] = answer
            return
        for index, inputs in stacked:
            responses[index] = self._cancelled() if requests[index].is_cancelled() else self._answer(inputs)
        if not any(responses[index].has_error() for index, _ in stacked):
            self._failures.log(failure, f"failed for {len(stacked)} requests stacked, and for none of them alone")

    def _answer_alone(self, request: Request) -> Response:
        """Answer one request. Most requests come alone, and each call of a function here is seen in their latency."""
        if self._padding is None and self._last_call_s <= _PATIENCE_S:
            try:
                given = self._wire.read(request)
                return self._wire.response(self._call(given, rows(given)))
            except CAUGHT as error:
                return self._fail(error)
        inputs, response = self._read(request, ask=self._last_call_s > _PATIENCE_S)
        return response if inputs is None else self._answer(inputs)

    def _answer(self, inputs: Inputs) -> Response:
        """Call the function for one request."""
        try:
            size = rows(inputs)
            if self._padding is not None and size is not None:
                return self._respond([inputs], [size])[0]
            return self._wire.response(self._call(inputs, size))
        except CAUGHT as error:
            return self._fail(error)

    def _respond(self, requests: Sequence[Inputs], sizes: Sequence[int]) -> list[Response]:
        """Call the function once for requests of so many rows each."""
        if self._padding is None:
            return self._wire.responses(self._call(stack(requests), sum(sizes)), sizes)
        inputs, cut = self._padding.stack(requests, sizes)
        return [self._wire.response(outputs) for outputs in cut(self._call(inputs, sum(sizes)))]

    def _call(self, inputs: Inputs, expected: int | None) -> list[Array]:
        start = perf_counter()
        result = self._function(**dict(zip(self._names, inputs, strict=True)))
        self._last_call_s = perf_counter() - start
        return self._outputs.arrange(result, expected)

    def _fail(self, error: BaseException) -> Response:
        self._failures.log(error, "request failed")
        return self._wire.error(*self._failures.describe(error))

    def _cancelled(self) -> Response:
        return self._wire.error("the client cancelled the request", "CANCELLED")


class SeparateExecution(Execution):
    """Runs a function that mostly waits for other models: for each request by itself, for several at once.

    Such a function may branch on what is in a request, so that requests can't share a call.
    """

    def __init__(
        self,
        spec: ModelSpec,
        wire: Wire,
        function: Callable[..., Any],
        failures: Failures,
        *,
        padding: Padding | None = None,
    ) -> None:
        super().__init__(spec, wire, function, failures, padding=padding)
        self._threads = ThreadPoolExecutor(_MOST_AT_ONCE, thread_name_prefix="request")

    def __call__(self, requests: Sequence[Request]) -> list[Response]:
        """Answer every request, in order."""
        if len(requests) == 1:
            return [self._answer_alone(requests[0])]
        return list(self._threads.map(self._answer_alone, requests))
