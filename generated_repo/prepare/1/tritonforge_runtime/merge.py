"""Calls of one served model that are made at the same time, sent as one request: bodies side by side make them.

A call from within Triton costs 300 µs, whatever is in it (Triton 24.10). No call waits for others to come: while some
are under way, further ones gather, and go out together.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from .batch import Array, split
from .errors import CAUGHT

__all__ = ["Exchange", "Merger", "kind_of", "send_together"]

_MOST_UNDER_WAY = 2
"""How many requests to one model are under way at once. One is faster still for one instance, and idles the others."""

Outputs = Mapping[str, Array]
Exchange = Callable[[Mapping[str, Array]], Outputs]


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    """One call: its arrays, and what tells that it can be stacked with another."""

    arrays: Mapping[str, Array]
    rows: int
    kind: object
    answer: Future[Outputs] = field(default_factory=Future)


class Merger:
    """Sends calls of a batched model, stacked up to `most_rows`. May be called in many threads."""

    def __init__(self, exchange: Exchange, most_rows: int) -> None:
        self._exchange = exchange
        self._most_rows = most_rows
        self._lock = threading.Lock()
        self._waiting: list[_Call] = []
        self._under_way = 0

    def __call__(self, arrays: Mapping[str, Array]) -> Outputs:
        """Send arrays by input name, alone or with others; give the outputs by name.

        Raises:
            TritonError: the model refused or failed for these arrays.
        """
        if not arrays:
            return self._exchange(arrays)
        with self._lock:
            alone = not self._under_way  # nor does any wait then
            self._under_way += alone
        if alone:
            try:
                return self._exchange(arrays)
            finally:
                self._send()
        call = _Call(arrays, len(next(iter(arrays.values()))), kind_of(arrays))
        with self._lock:
            self._waiting.append(call)
            sends = self._under_way < _MOST_UNDER_WAY
            self._under_way += sends
        if sends:
            self._send()
        return call.answer.result()

    def _send(self) -> None:
        """Send what waits, until nothing does."""
        while True:
            with self._lock:
                calls = self._take()
                if not calls:
                    self._under_way -= 1
                    return
            self._answer(calls)

    def _take(self) -> list[_Call]:
        """Take the first call that waits and those that can be stacked on it."""
        taken: list[_Call] = []
        rows = 0
        for call in self._waiting:
            if not taken or (call.kind == taken[0].kind and rows + call.rows <= self._most_rows):
                taken.append(call)
                rows += call.rows
        self._waiting = [call for call in self._waiting if call not in taken]
        return taken

    def _answer(self, calls: list[_Call]) -> None:
        for call, found in zip(calls, send_together(self._exchange, [call.arrays for call in calls]), strict=True):
            if isinstance(found, BaseException):
                call.answer.set_exception(found)
            else:
                call.answer.set_result(found)


def kind_of(arrays: Mapping[str, Array]) -> object:
    """Give what two calls must have in common to be stacked."""
    return tuple(sorted((name, array.dtype.str, array.shape[1:]) for name, array in arrays.items()))


def send_together(exchange: Exchange, calls: Sequence[Mapping[str, Array]]) -> list[Outputs | BaseException]:
    """Send calls that can be stacked as one request. Where that fails, each alone, so that only the culprit fails."""
    if len(calls) > 1:
        sizes = [len(next(iter(arrays.values()))) for arrays in calls]
        try:
            outputs = exchange({name: np.concatenate([arrays[name] for arrays in calls]) for name in calls[0]})
            parts = {name: split(array, sizes) for name, array in outputs.items()}
            return [{name: part[place] for name, part in parts.items()} for place in range(len(calls))]
        except CAUGHT:
            pass  # told below, to whom it concerns
    return [_send_alone(exchange, arrays) for arrays in calls]


def _send_alone(exchange: Exchange, arrays: Mapping[str, Array]) -> Outputs | BaseException:
    try:
        return exchange(arrays)
    except CAUGHT as error:
        return error
