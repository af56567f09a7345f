"""The execution of sequence models: requests of one correlation id share a state."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from .batch import Array, rows
from .errors import CAUGHT, TritonError
from .failure import Failures
from .outputs import Outputs
from .spec import ModelSpec, SequenceSpec
from .wire import ENDS, STARTS, Request, Response, Wire

__all__ = ["Sequences"]

_GRACE = 2
"""How many times the idle time a state is kept. Triton counts from when a request came in, and refuses later ones; here
the time is from when one was answered, and a request may have waited."""


@dataclass(slots=True)
class _Held:
    state: Any
    used: float


class Sequences:
    """Runs an object with `start()` and `__call__(state, …)`, one request at a time, each with its sequence's state."""

    def __init__(self, spec: ModelSpec, sequence: SequenceSpec, wire: Wire, target: Any, failures: Failures) -> None:
        self._wire = wire
        self._start: Callable[[], Any] = target.start
        self._function: Callable[..., Any] = target
        self._failures = failures
        self._outputs = Outputs(spec)
        self._names = tuple(tensor.name for tensor in spec.inputs)
        self._keep_s = sequence.idle_s * _GRACE + 1
        self._held: OrderedDict[int | str, _Held] = OrderedDict()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._watch: threading.Thread | None = None

    def __call__(self, requests: Sequence[Request]) -> list[Response]:
        """Answer every request, in order; no two of them are of the same sequence."""
        self._expire()
        if self._watch is None:
            self._watch = threading.Thread(target=self._expire_by_time, name="idle sequences", daemon=True)
            self._watch.start()
        return [self._answer(request) for request in requests]

    def __len__(self) -> int:
        """Count the sequences that have a state."""
        return len(self._held)

    def close(self) -> None:
        """Drop no more states by time."""
        self._closed.set()

    def _answer(self, request: Request) -> Response:
        try:
            if not self._wire.ready(request):
                return self._wire.nothing()  # an empty slot of the direct strategy, filled with another's inputs
            return self._wire.response(self._step(request))
        except CAUGHT as error:
            self._failures.log(error, "request failed")
            return self._wire.error(*self._failures.describe(error))

    def _step(self, request: Request) -> list[Array]:
        identity, flags = request.correlation_id(), request.flags()
        with self._lock:
            held = self._held.pop(identity, None)  # while it is used, it can't expire
        if flags & STARTS:
            held = _Held(self._start(), monotonic())
        if held is None:
            raise TritonError(f"sequence {identity} has no state: its start failed, or it was idle", "UNAVAILABLE")
        try:
            inputs = self._wire.read(request)
            result = self._function(held.state, **dict(zip(self._names, inputs, strict=True)))
            return self._outputs.arrange(result, rows(inputs))
        finally:
            held.used = monotonic()
            if not flags & ENDS:
                with self._lock:
                    self._held[identity] = held

    def _expire(self) -> None:
        """Drop the states of sequences that Triton has ended without telling."""
        oldest = monotonic() - self._keep_s
        dropped = []  # freed after the lock, for what a state frees may take its time
        with self._lock:
            while self._held:
                identity, held = next(iter(self._held.items()))
                if held.used > oldest:
                    break
                dropped.append(self._held.pop(identity))

    def _expire_by_time(self) -> None:
        """Drop states also while no requests come."""
        while not self._closed.wait(self._keep_s / 2):
            self._expire()
