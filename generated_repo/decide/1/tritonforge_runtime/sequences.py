"""The execution of sequence models: requests of one correlation id share a state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .batch import Array, rows
from .errors import CAUGHT
from .failure import Failures
from .outputs import Outputs
from .ownership import own
from .spec import ModelSpec, SequenceSpec
from .states import States
from .wire import ENDS, STARTS, Request, Response, Wire

__all__ = ["Sequences"]


class Sequences:
    """Runs an object with `start()` and `__call__(state, …)`, one request at a time, each with its sequence's state."""

    def __init__(self, spec: ModelSpec, sequence: SequenceSpec, wire: Wire, target: Any, failures: Failures) -> None:
        self._wire = wire
        self._start: Callable[[], Any] = target.start
        self._function: Callable[..., Any] = target
        self._failures = failures
        self._outputs = Outputs(spec)
        self._names = spec.arguments
        self._states = States(sequence.idle_s)

    def __call__(self, requests: Sequence[Request]) -> list[Response]:
        """Answer every request, in order; no two of them are of the same sequence."""
        self._states.expire()
        if len(requests) == 1:
            return [self._answer(requests[0], self._step)]
        return [self._answer(request, self._own_step) for request in requests]

    def __len__(self) -> int:
        """Count the sequences that have a state."""
        return len(self._states)

    def close(self) -> None:
        """Drop no more states by time."""
        self._states.close()

    def _answer(self, request: Request, step: Callable[[Request], list[Array]]) -> Response:
        try:
            if not self._wire.ready(request):
                return self._wire.nothing()  # an empty slot of the direct strategy, filled with another's inputs
            return self._wire.response(step(request))
        except CAUGHT as error:
            self._failures.log(error, "request failed")
            return self._wire.error(*self._failures.describe(error), told=self._wire.asks(request))

    def _own_step(self, request: Request) -> list[Array]:
        return own(self._step(request))  # it is kept until the other requests are answered

    def _step(self, request: Request) -> list[Array]:
        identity, flags = request.correlation_id(), request.flags()
        if flags & STARTS:
            self._states.drop(identity)
            state = self._start()
        else:
            state = self._states.take(identity)
        try:
            inputs = self._wire.read(request)
            result = self._function(state, **dict(zip(self._names, inputs, strict=True)))
            return self._outputs.arrange(result, rows(inputs))
        finally:
            if not flags & ENDS:
                self._states.keep(identity, state)
