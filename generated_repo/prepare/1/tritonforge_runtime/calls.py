"""The calls that a run of a body makes, sent when one of their results is asked for, or the body ends.

Sent there and then, in the body's own thread, where one call can go out at a time; the hand-over to another thread and
back costs a fifth of the call itself. Those that don't depend on each other are sent at once, in threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from queue import SimpleQueue
from typing import Any, Protocol

from .batch import Array
from .errors import CAUGHT
from .pending import Pending

__all__ = ["Call", "Outputs", "Run", "Runs", "Target", "executor", "running"]

_MOST_AT_ONCE = 64
"""How many calls of one instance are under way in threads at once; further ones wait for their turn."""

Outputs = Mapping[str, Array]


class Target(Protocol):
    """A model that Triton serves."""

    exchange: Callable[[Mapping[str, Array]], Outputs]
    most_rows: int
    """How many rows calls may share a request with; 0 where they may not."""

    def check(self, arrays: Mapping[str, Array]) -> None:
        """Hold arrays that were pending against the model's inputs, or raise InvalidArgument."""

    def __call__(self, arrays: Mapping[str, Array]) -> Outputs:
        """Send one call."""


class Runs(Protocol):
    """What calls are made in."""

    def add(self, call: Call) -> None:
        """Take a call that was made."""

    def wait(self, call: Call) -> None:
        """Send calls until this one is over."""


class _Running(threading.local):
    run: Runs | None = None


running = _Running()
"""The run whose body this thread is in."""


class Call:
    """A call of a served model; `inputs` are arrays by name, some of them pending: they come from the calls `after`."""

    __slots__ = ("_arrays", "_error", "_outputs", "_told", "after", "inputs", "over", "run", "target")

    def __init__(self, target: Target, inputs: Mapping[str, Any], run: Runs, after: Sequence[Call] = ()) -> None:
        self.target = target
        self.inputs = inputs
        self.run = run
        self.after = after
        self.over = False
        self._told = False
        self._arrays: Mapping[str, Array] = {}
        self._outputs: Outputs = {}
        self._error: BaseException | None = None

    def ready(self) -> bool:
        """Say whether the calls that its inputs come from are over."""
        return not self.after or all(call.over for call in self.after)

    def arrays(self) -> Mapping[str, Array]:
        """Give its inputs.

        Raises:
            TritonError: a call that one of them comes from failed.
            InvalidArgument: what that gave doesn't match the model's inputs.
        """
        if not self.after:
            return self.inputs
        if not self._arrays:
            arrays = {name: value.sent() if type(value) is Pending else value for name, value in self.inputs.items()}
            self.target.check(arrays)
            self._arrays = arrays
        return self._arrays

    def perform(self) -> None:
        """Send it and wait for its answer."""
        try:
            self.answer(self.target(self.arrays()))
        except CAUGHT as error:
            self.fail(error)

    def answer(self, outputs: Outputs) -> None:
        """End it with its outputs."""
        self._outputs = outputs
        self.over = True

    def fail(self, error: BaseException) -> None:
        """End it with an error."""
        self._error = error
        self.over = True

    def result(self) -> Outputs:
        """Wait for its outputs.

        Raises:
            TritonError: the model failed; the message names it.
        """
        if not self.over:
            self.run.wait(self)
        if self._error is not None:
            self._told = True
            raise self._error
        return self._outputs

    def failed(self) -> bool:
        """Say whether it ended with an error."""
        return self._error is not None

    def settle(self) -> None:
        """Raise the error of a call that is over, where the body hasn't seen it."""
        if self._error is not None and not self._told:
            raise self._error


class Run:
    """The calls of one run of a body by itself."""

    __slots__ = ("_ended", "_failed", "_lock", "_under_way", "_waiting")

    def __init__(self) -> None:
        self._waiting: list[Call] = []
        self._failed: list[Call] = []
        self._under_way = 0
        self._ended: SimpleQueue[Call] = SimpleQueue()
        self._lock = threading.Lock()

    def add(self, call: Call) -> None:
        """Take a call that was made."""
        self._waiting.append(call)

    def wait(self, call: Call) -> None:
        """Send calls until this one is over."""
        with self._lock:  # a body may have threads of its own, which wait for its calls
            while not call.over:
                self._step(call)

    def finish(self) -> None:
        """Send what the body has made and not asked for.

        Raises:
            TritonError: a call failed, and the body hasn't seen it.
        """
        while self._waiting or self._under_way:
            with self._lock:
                self._step(self._waiting[-1] if self._waiting else None)
        for call in self._failed:
            call.settle()

    def _step(self, wanted: Call | None) -> None:
        """Send all calls that can be sent: one of them here, where nothing else could be done meanwhile."""
        ready = [call for call in self._waiting if call.ready()]
        if len(ready) == 1 and not self._under_way:  # as mostly
            self._waiting.remove(ready[0])
            self._send_here(ready[0])
            return
        if ready:
            self._waiting = [call for call in self._waiting if call not in ready]
        here = wanted if wanted in ready and not self._waiting else None
        for call in ready:
            if call is not here:
                self._under_way += 1
                executor().submit(self._send_beside, call)
        if here is not None:
            self._send_here(here)
        elif self._under_way:
            self._under_way -= 1
            self._note(self._ended.get())

    def _send_here(self, call: Call) -> None:
        call.perform()
        self._note(call)

    def _send_beside(self, call: Call) -> None:
        call.perform()
        self._ended.put(call)

    def _note(self, call: Call) -> None:
        if call.failed():
            self._failed.append(call)


@cache
def executor() -> ThreadPoolExecutor:
    """Give the threads of this instance that send calls."""
    return ThreadPoolExecutor(_MOST_AT_ONCE, thread_name_prefix="call")
