"""Bodies that run for several requests side by side, so that the calls that they make go out together.

Such a body may branch on what is in a request, so that requests can't share a run of it. A call from within Triton
costs 220 µs, whatever is in it (Triton 24.10), and threads that run at the same time take the interpreter from each
other. So bodies take turns: one runs until it waits for a call, then the next; when all wait, what they made goes out,
one request for each model and shape. A body that is busy with something else doesn't hold the others up for long.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .calls import Call, executor, running
from .errors import CAUGHT
from .merge import kind_of, send_together
from .ownership import own_result
from .pending import resolve
from .workers import Workers

__all__ = ["Lane", "Rounds"]

_PATIENCE_S = 0.002
"""How long a body may be busy before others go on beside it."""


class Lane:
    """A run of a body for one request."""

    def __init__(self, rounds: Rounds, inputs: Mapping[str, Any]) -> None:
        self.inputs = inputs
        self.started = False
        self.owner = 0
        self.made: list[Call] = []
        self.wanted: Call | None = None
        self.go_on = threading.Lock()
        self.go_on.acquire()
        self._sent: list[Call] = []
        self._rounds = rounds
        self._result: Any = None
        self._error: BaseException | None = None

    def add(self, call: Call) -> None:
        """Take a call that was made."""
        self.made.append(call)

    def wait(self, call: Call) -> None:
        """Let others run until this call is over."""
        self._rounds.block(self, call)

    def take(self) -> list[Call]:
        """Give the calls that were made since the last time."""
        made, self.made = self.made, []
        self._sent += made
        return made

    def run(self, body: Callable[..., Any]) -> None:
        """Run the body; what it returns may still be pending."""
        self.owner = threading.get_ident()
        running.run = self
        try:
            self._result = own_result([body(**self.inputs)])  # it is kept until the other bodies have run
        except CAUGHT as error:
            self._error = error
            self.made.clear()
        finally:
            running.run = None

    def result(self) -> Any:
        """Give what the body returned, when all calls are over; or raise its error, or one that it hasn't seen."""
        if self._error is not None:
            raise self._error
        result = resolve(self._result)
        for call in self._sent:
            call.settle()
        return result


class Rounds:
    """The runs of a body for the requests of one execution."""

    def __init__(self, body: Callable[..., Any], workers: Workers) -> None:
        self._body = body
        self._workers = workers
        self._lock = threading.Lock()
        self._lanes: list[Lane] = []
        self._runnable: deque[Lane] = deque()
        self._blocked: list[Lane] = []
        self._waiting: list[Call] = []
        self._active = 0  # threads that run a body or send calls
        self._under_way = 0  # requests
        self._ended = 0
        self._turns = 0
        self._over = threading.Event()

    def __call__(self, inputs: Sequence[Mapping[str, Any]]) -> list[Lane]:
        """Run the body for each of these; give the runs when they are over."""
        self._lanes = [Lane(self, each) for each in inputs]
        self._runnable.extend(self._lanes)
        self._active = 1
        self._pass_on()
        turns = -1
        while not self._over.wait(_PATIENCE_S):
            if turns == self._turns:
                self._hurry()
            turns = self._turns
        return self._lanes

    def block(self, lane: Lane, call: Call) -> None:
        """Let others run until a call of this lane is over."""
        if lane.owner != threading.get_ident():
            return self._block_beside(lane, call)
        with self._lock:
            self._waiting += lane.take()
            lane.wanted = call
            self._blocked.append(lane)
        self._pass_on()
        lane.go_on.acquire()
        return None

    def _block_beside(self, lane: Lane, call: Call) -> None:
        """Wait in a thread of the body's own."""
        with self._lock:
            self._waiting += lane.take()
            self._active += 1
        while not call.over:
            with self._lock:
                batches = self._batches()
            if batches:
                self._send(batches)
            else:
                self._over.wait(_PATIENCE_S)
        self._pass_on()

    def _hurry(self) -> None:
        """Go on beside bodies that are busy: their turn has lasted long enough."""
        with self._lock:
            if not self._runnable and (self._under_way or not self._waiting):
                return
            self._active += 1
        self._pass_on(beside=True)

    def _pass_on(self, *, beside: bool = False) -> None:
        """Give this thread's turn to the next body that can run. Where none can, send what they made."""
        while True:
            with self._lock:
                self._turns += 1
                self._wake()
                if self._runnable:
                    lane = self._runnable.popleft()
                    break
                before = len(self._waiting)
                batches = self._batches() if self._active == 1 or beside else []
                if not batches:
                    if len(self._waiting) < before:
                        continue  # calls failed without being sent
                    self._active -= 1
                    if self._ended == len(self._lanes) and not self._waiting and not self._under_way:
                        self._over.set()
                    return
            self._send(batches)
        if lane.started:
            lane.go_on.release()
        else:
            lane.started = True
            self._workers.run(lambda: self._run(lane))

    def _run(self, lane: Lane) -> None:
        lane.run(self._body)
        with self._lock:
            self._waiting += lane.take()
            self._ended += 1
        self._pass_on()

    def _wake(self) -> None:
        """Let those go on whose call is over."""
        still: list[Lane] = []
        for lane in self._blocked:
            (self._runnable if lane.wanted is not None and lane.wanted.over else still).append(lane)
        self._blocked = still

    def _batches(self) -> list[list[Call]]:
        """Take the calls that can be sent, those together that can be stacked."""
        ready = [call for call in self._waiting if call.ready()]
        self._waiting = [call for call in self._waiting if not call.ready()]
        batches = stacks(ready)
        self._under_way += len(batches)
        return batches

    def _send(self, batches: Sequence[list[Call]]) -> None:
        """Send requests at once: the last of them here."""
        for batch in batches[:-1]:
            executor().submit(self._send_beside, batch)
        self._exchange(batches[-1])

    def _send_beside(self, batch: list[Call]) -> None:
        self._exchange(batch)
        with self._lock:
            self._active += 1
        self._pass_on()

    def _exchange(self, batch: list[Call]) -> None:
        perform(batch)
        with self._lock:
            self._under_way -= 1


def stacks(calls: Sequence[Call]) -> list[list[Call]]:
    """Put together the calls that can be one request; one whose inputs can't be had is over at once."""
    open_: dict[object, tuple[list[Call], int]] = {}
    found: list[list[Call]] = []
    for call in calls:
        try:
            arrays = call.arrays()
        except CAUGHT as error:
            call.fail(error)
            continue
        most = call.target.most_rows if arrays else 0
        rows = len(next(iter(arrays.values()))) if most else 0
        key = (id(call.target), kind_of(arrays))
        batch, so_far = open_.get(key, ([], 0))
        if not batch or not most or so_far + rows > most:
            batch, so_far = [], 0
            found.append(batch)
        batch.append(call)
        open_[key] = (batch, so_far + rows)
    return found


def perform(batch: Sequence[Call]) -> None:
    """Send calls as one request, and end them."""
    answers = send_together(batch[0].target.exchange, [call.arrays() for call in batch])
    for call, answer in zip(batch, answers, strict=True):
        if isinstance(answer, BaseException):
            call.fail(answer)
        else:
            call.answer(answer)
