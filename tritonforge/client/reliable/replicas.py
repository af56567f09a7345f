"""The servers behind one client: which is next, which is left out, and when one of those is tried again."""

from __future__ import annotations

import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar, get_args

from tritonforge.client.concurrency.forks import watch_forks
from tritonforge.client.reliable.lacking import Lacking, Model
from tritonforge.client.tensors.arguments import require_number

__all__ = ["Balance", "Breaker", "Replica", "Replicas"]

T = TypeVar("T")

Balance = Literal["round_robin", "least_in_flight"]
"""Who is next: each in turn, or whoever has the fewest requests of this client under way."""

_NONE: Model = ("", "")
_MOST_PINNED = 100_000
_LATE = 2


@dataclass(frozen=True, slots=True)
class Breaker:
    """When a server is left alone: after `failures` in a row, for `pause_s`, doubled each time up to `longest_pause_s`.

    A `pause_s` that is longer is always as long. Then it is asked whether it is ready, for `probe_s` at most, and takes
    calls again once it says so. So one that has come back is noticed within `longest_pause_s`; to ask so often costs a
    dead server nothing.
    """

    failures: int = 5
    pause_s: float = 0.5
    longest_pause_s: float = 1.0
    probe_s: float = 1.0

    def __post_init__(self) -> None:
        """Raise ValueError for numbers out of range."""
        require_number("failures", self.failures, int)
        if self.failures < 1:
            raise ValueError(f"failures is {self.failures}; it must be 1 or more")
        for name in ("pause_s", "longest_pause_s", "probe_s"):
            require_number(name, getattr(self, name))
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}; it must be a finite number of seconds above 0")

    def pause_after_s(self, pauses: int) -> float:
        """Tell for how long a server is left alone after so many pauses in a row."""
        return min(self.pause_s * 2.0 ** min(pauses, 30), max(self.pause_s, self.longest_pause_s))


class Replica(Generic[T]):
    """One server: how to reach it, and how it has been doing."""

    __slots__ = (
        *("failures", "heard", "in_flight", "last_failure", "late", "passed_over", "pauses", "probing", "renewed_at"),
        *("retry_at", "transport"),
    )

    def __init__(self, transport: T) -> None:
        self.transport = transport
        self.in_flight = 0
        self.heard = False  # it has answered at some time
        self.failures = 0
        self.last_failure = ""
        self.pauses = 0
        self.retry_at = 0.0
        self.probing = False
        self.late = 0
        self.renewed_at = 0.0
        self.passed_over = False  # it answered nothing, or nothing of Triton's: others are asked, while there are any

    @property
    def open(self) -> bool:
        """Whether its circuit is open: it takes no calls."""
        return self.pauses > 0


class Replicas(Generic[T]):
    """The servers of a client and the choice among them, for any number of threads."""

    def __init__(
        self,
        transports: Sequence[T],
        balance: Balance = "round_robin",
        breaker: Breaker | None = None,
        clock: Callable[[], float] = time.monotonic,
        changed: Callable[[Replica[T]], object] | None = None,
    ) -> None:
        """`changed` is told of a replica whose circuit has opened or closed. Raise ValueError for another `balance`."""
        if balance not in get_args(Balance):
            raise ValueError(f"balance is {balance!r}; it may be {' or '.join(get_args(Balance))}")
        self.all = [Replica(transport) for transport in transports]
        self._only = self.all[0] if len(self.all) == 1 else None
        self._balance = balance
        self.breaker = breaker or Breaker()
        self._clock = clock
        self._changed = changed
        self._turn = 0
        first = random.randrange(len(self.all)) if self.all else 0
        self._steady = self.all[first:] + self.all[:first]
        self._lock = threading.Lock()
        self._pinned: OrderedDict[object, Replica[T]] = OrderedDict()
        self._lacking: Lacking[Replica[T]] = Lacking(self.breaker.longest_pause_s, clock)
        watch_forks(self)

    def after_fork(self) -> None:
        """Let go of what a thread of the parent may have held; its calls, and its probes, go on there alone."""
        self._lock = threading.Lock()
        for replica in self.all:
            replica.in_flight = 0
            replica.probing = False

    @property
    def only(self) -> Replica[T] | None:
        """The one server, where there is no other and its circuit is closed: nothing to choose, nothing to count."""
        return None if self._only is None or self._only.pauses else self._only

    @property
    def in_flight(self) -> int:
        """How many requests are under way, where there are several servers."""
        return sum(replica.in_flight for replica in self.all)

    def choose(
        self,
        tried: Sequence[Replica[T]] = (),
        *,
        steady: bool = False,
        model: Model = _NONE,
        able: Sequence[Replica[T]] = (),
    ) -> Replica[T] | None:
        """Choose a server for a request, one not `tried` yet where possible, and count the request as under way.

        `able` are those that can serve it, where not all can.
        `steady` chooses the same one each time, as long as it is healthy; another client may choose another.

        One that lacks the `model` is chosen where all do that are healthy; one that is passed over where all others
        have been tried, or are passed over too. One whose circuit is open is chosen only where no other is left and its
        pause is over: the request is its trial then. None where all are to be left alone.
        """
        if (only := self.only) is not None:
            return only
        with self._lock:
            servers = able or self.all
            healthy = [replica for replica in servers if not replica.open]
            lacking = self._lacking.servers(model) if self._lacking else ()
            having = [replica for replica in healthy if replica not in lacking] or healthy
            fresh = [replica for replica in having if replica not in tried] or having
            fresh = [replica for replica in fresh if not replica.passed_over] or fresh
            chosen = (self._steadiest(fresh) if steady else self._pick(fresh)) if fresh else self._trial(servers)
            if chosen is not None:
                chosen.in_flight += 1
                if self._lacking:
                    self._lacking.asked(model, chosen)
            return chosen

    def pinned(
        self, key: object, tried: Sequence[Replica[T]] = (), *, start: bool, end: bool, model: Model = _NONE
    ) -> Replica[T] | None:
        """Choose the server that the sequence `key` began on; the first request of one is given to any."""
        with self._lock:
            chosen = None if start else self._pinned.get(key)
            if chosen is not None:
                chosen.in_flight += 1
        chosen = chosen or self.choose(tried, model=model)
        if chosen is not None:
            with self._lock:
                if end:
                    self._pinned.pop(key, None)
                else:
                    self._pinned[key] = chosen
                    self._pinned.move_to_end(key)
                    if len(self._pinned) > _MOST_PINNED:
                        self._pinned.popitem(last=False)
        return chosen

    def done(self, replica: Replica[T]) -> None:
        """Count a request of the replica as over."""
        if self._only is None:
            with self._lock:
                replica.in_flight -= 1

    def lacking(self, model: Model) -> Sequence[Replica[T]]:
        """List the servers that said lately that they don't have the model."""
        if not self._lacking:
            return ()
        with self._lock:
            return self._lacking.servers(model)

    def lacks(self, replica: Replica[T], model: Model) -> None:
        """Leave the replica out for this model, for a while."""
        if self._only is None:
            with self._lock:
                self._lacking.note(model, replica)

    def has(self, replica: Replica[T], model: Model) -> None:
        """Take the replica back for this model."""
        if self._lacking:
            with self._lock:
                self._lacking.found(model, replica)

    def succeeded(self, replica: Replica[T]) -> None:
        """Close the circuit: it answered."""
        replica.heard = True
        if replica.failures or replica.pauses or replica.probing or replica.late:
            with self._lock:
                was_open = replica.open
                replica.failures = replica.pauses = replica.late = 0
                replica.probing = replica.passed_over = False
            self._tell(replica, changed=was_open)

    def failed(self, replica: Replica[T], reason: str = "", *, pass_over: bool = False) -> None:
        """Count a failure, and open the circuit after enough of them, or after a failed trial.

        `pass_over`: others are asked meanwhile, if there are any, until this one says that it is ready.
        """
        with self._lock:
            was_open = replica.open
            replica.last_failure = reason or replica.last_failure
            replica.failures += 1
            if pass_over and self._only is None and not was_open:
                replica.passed_over = True
                replica.retry_at = self._clock() + self.breaker.pause_s
            # One that was under way when the circuit opened says nothing new.
            if replica.probing or (not was_open and replica.failures >= self.breaker.failures):
                replica.retry_at = self._clock() + self.breaker.pause_after_s(replica.pauses)
                replica.pauses += 1
                replica.probing = False
            opened = replica.open and not was_open
        self._tell(replica, changed=opened)

    def overdue(self, replica: Replica[T], began: float) -> bool:
        """Count a call, begun at that moment of the clock, that had no answer in time.

        Tell whether its connections are to be made anew: after two such calls with no answer of any kind between them.
        The server may be slow; or what lies between has lost a connection, and nobody says so.
        """
        with self._lock:
            if began < replica.renewed_at:
                return False
            replica.late += 1
            if replica.late < _LATE:
                return False
            replica.late = 0
            replica.renewed_at = self._clock()
            return True

    def due(self) -> list[Replica[T]]:
        """Take the servers that are to be asked whether they are back: the caller probes each, once."""
        if self._only is not None or not any(replica.failures for replica in self.all):
            return []
        with self._lock:
            now = self._clock()
            found = [r for r in self.all if (r.open or r.passed_over) and not r.probing and r.retry_at <= now]
            if len(found) == len(self.all):
                return []  # there is nobody else to serve the call: it is the trial itself
            for replica in found:
                replica.probing = True
            return found

    def wait_s(self, among: Sequence[Replica[T]] = ()) -> float:
        """Tell in how many seconds the next trial of one of these, or of all, is, where their circuits are open."""
        return max(0.0, min(replica.retry_at for replica in among or self.all) - self._clock())

    def _tell(self, replica: Replica[T], *, changed: bool) -> None:
        if changed and self._changed is not None:
            self._changed(replica)

    def _pick(self, among: list[Replica[T]]) -> Replica[T]:
        self._turn += 1
        start = self._turn % len(among)
        turned = among[start:] + among[:start]
        return turned[0] if self._balance == "round_robin" else min(turned, key=lambda replica: replica.in_flight)

    def _steadiest(self, among: list[Replica[T]]) -> Replica[T]:
        return next(replica for replica in self._steady if replica in among)

    def _trial(self, among: Sequence[Replica[T]]) -> Replica[T] | None:
        now = self._clock()
        for replica in among:
            if not replica.probing and replica.retry_at <= now:
                replica.probing = True
                return replica
        return None
