"""One execution of a model that answers each request once: stack, call, split; one bad request fails alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any

from .batch import Array, Inputs, all_rows, group, rows, stack
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
        self._only = self._names[0] if len(self._names) == 1 else None
        self._batched = spec.batched
        varying = any(tensor.optional or -1 in tensor.dims for tensor in spec.inputs)
        self._uniform = bool(spec.inputs) and padding is None and not varying
        self._last_call_s = 0.0

    def __call__(self, requests: Sequence[Request]) -> list[Response]:
        """Answer every request, in order."""
        if len(requests) == 1:
            return [self._answer_alone(requests[0])]
        if not self._batched:
            return [self._answer_alone(request) for request in requests]
        ask = self._last_call_s > _PATIENCE_S * len(requests)
        if self._uniform and not ask:
            try:
                inputs = self._wire.read_all(requests)
            except CAUGHT:
                pass  # what is wrong with one is found below
            else:
                return self._answer_stacked(inputs, requests)
        return self._answer_in_groups(requests, ask=ask)

    def _answer_alone(self, request: Request) -> Response:
        """Answer one request. Most requests come alone, and each call of a function here is seen in their latency."""
        if self._padding is None and self._last_call_s <= _PATIENCE_S:
            try:
                inputs = self._wire.read(request)
                only = self._only
                start = perf_counter()
                result = self._function(**({only: inputs[0]} if only else dict(zip(self._names, inputs, strict=True))))
                self._last_call_s = perf_counter() - start
                size = len(inputs[0]) if self._uniform else rows(inputs)  # type: ignore[arg-type]
                return self._wire.response(self._outputs.arrange(result, size))
            except CAUGHT as error:
                return self._fail(error)
        readable, response = self._read(request, ask=self._last_call_s > _PATIENCE_S)
        return response if readable is None else self._answer(readable)

    def _answer_in_groups(self, requests: Sequence[Request], *, ask: bool) -> list[Response]:
        """Answer requests of which some may not be readable, or can't be stacked; `ask` whether they were cancelled."""
        responses: list[Response] = [None] * len(requests)
        readable: list[tuple[int, Inputs]] = []
        for index, request in enumerate(requests):
            inputs, responses[index] = self._read(request, ask=ask)
            if inputs is not None:
                readable.append((index, inputs))
        for stacked in self._padding.group(readable) if self._padding else group(readable):
            places = [index for index, _ in stacked]
            answers = self._answer_stacked([inputs for _, inputs in stacked], [requests[index] for index in places])
            for index, answer in zip(places, answers, strict=True):
                responses[index] = answer
        return responses

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

    def _answer_stacked(self, stacked: Sequence[Inputs], requests: Sequence[Request]) -> list[Response]:
        """Call the function once for a group. Where that fails, once for each request, to find the culprits."""
        sizes = all_rows(stacked)
        if len(stacked) == 1 or sizes is None:
            return [self._answer(inputs) for inputs in stacked]
        try:
            return self._respond(stacked, sizes)
        except CAUGHT as error:
            failure = error
        responses = [
            self._cancelled() if request.is_cancelled() else self._answer(inputs)
            for inputs, request in zip(stacked, requests, strict=True)
        ]
        if not any(response.has_error() for response in responses):
            self._failures.log(failure, f"failed for {len(stacked)} requests stacked, and for none of them alone")
        return responses

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
