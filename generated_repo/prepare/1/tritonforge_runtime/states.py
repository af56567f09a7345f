"""What is kept between the requests of a sequence, by correlation id."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from time import monotonic
from typing import Any

from .errors import TritonError

__all__ = ["States"]

_GRACE = 2
"""How many times the idle time a state is kept. Triton counts from when a request came in, and refuses later ones; here
the time is from when one was answered, and a request may have waited."""


@dataclass(slots=True)
class _Held:
    state: Any
    used: float


class States:
    """The states of one instance's sequences; those idle for longer than `idle_s` seconds are dropped after a while."""

    def __init__(self, idle_s: float) -> None:
        self._keep_s = idle_s * _GRACE + 1
        self._held: OrderedDict[int | str, _Held] = OrderedDict()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._watch: threading.Thread | None = None

    def __len__(self) -> int:
        """Count the sequences that have a state."""
        return len(self._held)

    def take(self, identity: int | str) -> Any:
        """Take a sequence's state out: while it is used, it can't expire.

        Raises:
            TritonError: there is none.
        """
        held = self._pop(identity)
        if held is None:
            raise TritonError(f"sequence {identity} has no state: its start failed, or it was idle", "UNAVAILABLE")
        return held.state

    def keep(self, identity: int | str, state: Any) -> None:
        """Keep a sequence's state until its next request."""
        held = _Held(state, monotonic())
        with self._lock:
            self._held[identity] = held
            self._held.move_to_end(identity)

    def drop(self, identity: int | str) -> None:
        """Forget a sequence's state, if there is one."""
        self._pop(identity)

    def expire(self) -> None:
        """Drop the states of sequences that Triton has ended without telling, from now on also while none is asked."""
        if self._watch is None:
            self._watch = threading.Thread(target=self._expire_by_time, name="idle sequences", daemon=True)
            self._watch.start()
        self._expire()

    def close(self) -> None:
        """Drop no more states by time."""
        self._closed.set()

    def _pop(self, identity: int | str) -> _Held | None:
        with self._lock:
            return self._held.pop(identity, None)

    def _expire(self) -> None:
        oldest = monotonic() - self._keep_s
        dropped = []  # freed after the lock, for what a state frees may take its time
        with self._lock:
            while self._held:
                identity, held = next(iter(self._held.items()))
                if held.used > oldest:
                    break
                dropped.append(self._held.pop(identity))

    def _expire_by_time(self) -> None:
        while not self._closed.wait(self._keep_s / 2):
            self._expire()
