"""One execution of a model that answers each request once: stack, call, split; one bad request fails alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from .batch import Array, Inputs, all_rows, group, rows, stack
from .errors import CAUGHT
from .failure import Failures
from .outputs import Outputs
from .ownership import own
from .padding import Padding
from .spec import ModelSpec, TensorSpec
from .wire import Passing, Request, Response, Wire

__all__ = ["Execution"]

_PATIENCE_S = 0.05
"""How long a call must have taken, for each request, before cancellation is asked for. The server drops what is
cancelled while it queues; what is left is seldom worth the question: a round trip to the server's process of 60 µs
(24.10), in which that process has been seen to crash (Triton's issue 8192)."""


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
        self._names = (*spec.arguments, *(padding.masks if padding else ()))
        self._batched = spec.batched
        varying = any(tensor.optional or -1 in tensor.dims for tensor in spec.inputs)
        self._uniform = bool(spec.inputs) and padding is None and not varying and not spec.request_parameters
        self._last_call_s = 0.0
        plain = wire.passing if self._uniform and spec.batched else None
        self._pass_on = self._pass_arrays if plain is None else self._shortcut(plain, spec.outputs[0])

    def __call__(self, requests: Sequence[Request]) -> list[Response]:
        """Answer every request, in order."""
        if len(requests) == 1:
            if self._padding is None and self._last_call_s <= _PATIENCE_S:
                try:
                    return [self._pass_on(requests[0])]
                except CAUGHT as error:
                    return [self._fail(error, requests[0])]
            return [self._answer_alone(requests[0])]
        if not self._batched:
            return [self._answer_alone(request, only=False) for request in requests]
        ask = self._is_slow(len(requests))
        if self._uniform and not ask:
            try:
                inputs = self._wire.read_all(requests)
            except CAUGHT:
                pass  # what is wrong with one is found below
            else:
                return self._answer_stacked(inputs, requests, only=True)
        return self._answer_in_groups(requests, ask=ask)

    def _answer_alone(self, request: Request, *, only: bool = True) -> Response:
        """Answer one request; `only` says here and below that no other call of the function is of this execution."""
        readable, response = self._read(request, ask=self._last_call_s > _PATIENCE_S)
        return response if readable is None else self._answer(readable, request, only=only)

    def _pass_arrays(self, request: Request) -> Response:
        """Answer one request that nothing is known against; raise what its function raises."""
        inputs = self._wire.read(request)
        return self._wire.response(self._call(inputs, rows(inputs)))

    def _shortcut(self, passing: Passing, wanted: TensorSpec) -> Callable[[Request], Response]:
        """Make what does the same for a model from one array to one array, each row by itself.

        Most models are such, and most requests come alone: each call of a function here is seen in their latency.
        """
        function, arrange, name = self._function, self._outputs.arrange, self._names[0]
        read, write, make = passing
        dtype, dims = None if wanted.datatype == "BYTES" else wanted.numpy, wanted.dims

        def pass_array(request: Request) -> Response:
            array = read(request.inputs()[0])
            start = perf_counter()
            result = function(**{name: array})
            self._last_call_s = perf_counter() - start
            if type(result) is not np.ndarray or result.dtype is not dtype or result.shape != (len(array), *dims):
                (result,) = arrange(result, len(array))
            return make([write(result)])

        return pass_array

    def _is_slow(self, requests: int) -> bool:
        """Say whether so many requests are worth the question whether they were cancelled."""
        return self._last_call_s > _PATIENCE_S * requests

    def _answer_in_groups(self, requests: Sequence[Request], *, ask: bool) -> list[Response]:
        """Answer requests of which some may not be readable, or can't be stacked; `ask` whether they were cancelled."""
        responses: list[Response] = [None] * len(requests)
        readable: list[tuple[int, Inputs]] = []
        for index, request in enumerate(requests):
            inputs, responses[index] = self._read(request, ask=ask)
            if inputs is not None:
                readable.append((index, inputs))
        groups = self._padding.group(readable) if self._padding else group(readable)
        for stacked in groups:
            places = [index for index, _ in stacked]
            theirs = [requests[index] for index in places]
            answers = self._answer_stacked([inputs for _, inputs in stacked], theirs, only=len(groups) == 1)
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
            return None, self._fail(error, request)
        return inputs, None

    def _answer_stacked(self, stacked: Sequence[Inputs], requests: Sequence[Request], *, only: bool) -> list[Response]:
        """Call the function once for a group. Where that fails, once for each request, to find the culprits."""
        sizes = all_rows(stacked)
        if len(stacked) == 1 or sizes is None:
            only = only and len(stacked) == 1
            return [self._answer(inputs, request, only=only) for inputs, request in zip(stacked, requests, strict=True)]
        try:
            return self._respond(stacked, sizes, only=only)
        except CAUGHT as error:
            failure = error
        responses = [
            self._cancelled() if request.is_cancelled() else self._answer(inputs, request, only=False)
            for inputs, request in zip(stacked, requests, strict=True)
        ]
        if not any(response.has_error() for response in responses):
            self._failures.log(failure, f"failed for {len(stacked)} requests stacked, and for none of them alone")
        return responses

    def _answer(self, inputs: Inputs, request: Request, *, only: bool) -> Response:
        """Call the function for one request."""
        try:
            size = rows(inputs)
            if self._padding is not None and size is not None:
                return self._respond([inputs], [size], only=only)[0]
            return self._wire.response(self._call(inputs, size, only=only))
        except CAUGHT as error:
            return self._fail(error, request)

    def _respond(self, requests: Sequence[Inputs], sizes: Sequence[int], *, only: bool) -> list[Response]:
        """Call the function once for requests of so many rows each."""
        if self._padding is None:
            return self._wire.responses(self._call(stack(requests), sum(sizes), only=only), sizes)
        inputs, cut = self._padding.stack(requests, sizes)
        return [self._wire.response(outputs) for outputs in cut(self._call(inputs, sum(sizes), only=only))]

    def _call(self, inputs: Inputs, expected: int | None, *, only: bool = True) -> list[Array]:
        start = perf_counter()
        result = self._function(**dict(zip(self._names, inputs, strict=True)))
        self._last_call_s = perf_counter() - start
        arrays = self._outputs.arrange(result, expected)
        if only:
            return arrays
        del result
        return own(arrays)

    def _fail(self, error: BaseException, request: Request) -> Response:
        self._failures.log(error, "request failed")
        return self._wire.error(*self._failures.describe(error), told=self._wire.asks(request))

    def _cancelled(self) -> Response:
        return self._wire.error("the client cancelled the request", "CANCELLED")
