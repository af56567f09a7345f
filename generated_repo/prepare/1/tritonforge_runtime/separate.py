"""Executions of a body that takes each request by itself, as it may branch on what is in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from .batch import Inputs, rows
from .errors import CAUGHT
from .execution import Execution
from .failure import Failures
from .padding import Padding
from .remote import Body
from .rounds import Lane, Rounds
from .spec import ModelSpec
from .wire import Request, Response, Wire
from .workers import Workers

__all__ = ["SeparateExecution"]


class SeparateExecution(Execution):
    """Runs a body for each request by itself, for several side by side."""

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
        self._body = function.function if isinstance(function, Body) else function
        self._workers = Workers("body")

    def __call__(self, requests: Sequence[Request]) -> list[Response]:
        """Answer every request, in order."""
        if len(requests) == 1:
            return [self._answer_alone(requests[0])]
        responses: list[Response] = [None] * len(requests)
        readable: list[tuple[int, Inputs]] = []
        for index, request in enumerate(requests):
            inputs, responses[index] = self._read(request, ask=self._is_slow(len(requests)))
            if inputs is not None:
                readable.append((index, inputs))
        start = perf_counter()
        lanes = Rounds(self._body, self._workers)(
            [dict(zip(self._names, inputs, strict=True)) for _, inputs in readable]
        )
        self._last_call_s = perf_counter() - start
        for (index, inputs), lane in zip(readable, lanes, strict=True):
            responses[index] = self._respond_from(lane, inputs, requests[index])
        return responses

    def close(self) -> None:
        """End the threads."""
        self._workers.close()

    def _respond_from(self, lane: Lane, inputs: Inputs, request: Request) -> Response:
        try:
            return self._wire.response(self._outputs.arrange(lane.result(), rows(inputs)))
        except CAUGHT as error:
            return self._fail(error, request)
