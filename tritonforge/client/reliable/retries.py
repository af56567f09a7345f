"""When a failed attempt is made again: never past the deadline, never where it could do something twice."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

from tritonforge.client.concurrency.forks import watch_forks
from tritonforge.client.errors import ClientError, ServerUnavailable
from tritonforge.client.tensors.arguments import require_number

__all__ = ["Budget", "Retries", "may_retry"]


_WHOLE = 1 - 1e-9
"""One token, of which parts have been added."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How often an attempt that found no server is made again.

    `attempts` counts the first one. Before the n-th retry of the same server it waits a random time between 0 and
    `first_delay_s` · 2ⁿ, at most `longest_delay_s`: "full jitter" of
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/. All calls of a client together make no
    more retries than `budget` times their number, and `burst` beside, so that retries don't keep a server down. Calls
    that a server breaks off, or takes none of, may go on at another one that is untried though the budget is used up,
    as many as are under way at once, which the calls that follow make up for; not where `budget` or `burst` is 0. Where
    nothing was sent to one server, or a question was not answered in its share of the time, asking another one that is
    untried isn't counted; nor, as no attempt either, where one isn't Triton, or lacks the model.
    """

    attempts: int = 3
    first_delay_s: float = 0.05
    longest_delay_s: float = 2.0
    budget: float = 0.2
    burst: int = 10

    def __post_init__(self) -> None:
        """Raise ValueError for numbers out of range."""
        require_number("attempts", self.attempts, int)
        if self.attempts < 1:
            raise ValueError(f"attempts is {self.attempts}; it counts the first one, so 1 or more")
        for name in ("first_delay_s", "longest_delay_s", "budget", "burst"):
            require_number(name, getattr(self, name))
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}; it must be a finite number, 0 or more")

    def delay_s(self, retry: int, draw: Callable[[], float] = random.random) -> float:
        """Draw the wait before a retry, counted from 0; `draw` gives numbers from 0 to 1."""
        return draw() * min(self.longest_delay_s, self.first_delay_s * 2.0 ** min(retry, 60))


class Budget:
    """Tokens that retries take and calls bring, for any number of threads."""

    __slots__ = ("__weakref__", "_lends", "_lent", "_lock", "_most", "_per_call", "_tokens", "full")

    def __init__(self, retries: Retries) -> None:
        self._per_call = retries.budget
        self._tokens = float(retries.burst)
        self._lends = bool(retries.burst and retries.budget)
        self._lent = 0
        # What the calls bring is kept until it is a whole retry, however small the burst.
        self._most = max(self._tokens, 1.0) + self._per_call if self._per_call else self._tokens
        self.full = self._tokens >= self._most
        self._lock = threading.Lock()
        watch_forks(self)

    def earn(self) -> None:
        """Add a call's share."""
        if not self.full:
            with self._lock:
                self._tokens = min(self._most, self._tokens + self._per_call)
                self.full = self._tokens >= self._most

    def spend(self, lent: int = 0) -> bool:
        """Take a retry's token, if there is one, or if fewer are owed than were `lent` at most since any were owed.

        Calls that a server breaks off end one after another, and fewer are under way each time.
        """
        with self._lock:
            if self._lends and lent:
                self._lent = max(lent, self._lent if self._tokens < 0 else 0)
            if self._tokens + (self._lent if lent else 0) < _WHOLE:
                return False
            self._tokens -= 1
            self.full = False
            return True

    def after_fork(self) -> None:
        """Let go of what a thread of the parent may have held."""
        self._lock = threading.Lock()


def may_retry(error: ClientError, *, idempotent: bool, elsewhere: bool = False) -> bool:
    """Tell whether it can do no harm to try again: nothing was sent, or doing it twice is as doing it once.

    What may be under way still is not to be done beside it; and what isn't Triton is asked again `elsewhere` alone.
    """
    if not isinstance(error, ServerUnavailable) or error.pending:
        return False
    return (elsewhere or not error.foreign) and (idempotent or not error.sent)
