"""Calls as Prometheus metrics, of any number of clients in one registry.

Each has `method` ("infer", "stream", or what was asked), `model` (empty for what is of no model) and `url`, which is
the server's that was asked last. `code` is OK, or the error's name.
"""

from __future__ import annotations

import threading
import time
from functools import lru_cache
from weakref import WeakKeyDictionary

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from tritonforge.client.concurrency.forks import watch_forks
from tritonforge.client.errors import ClientError
from tritonforge.client.message import Headers
from tritonforge.client.observing.observation import Call, Watch

__all__ = ["Prometheus"]

_BUCKETS_S = (
    *(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    *(1.0, 2.0, 5.0, 10.0, 30.0, 60.0),
)
_OF_CALL = ("method", "model", "url")


class Prometheus:
    """Counts a client's calls. Clients with the same registry share its metrics."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        """Raise ValueError where the registry has other metrics of these names."""
        self._metrics = _metrics_of(REGISTRY if registry is None else registry)
        self._lock = threading.Lock()
        self._opened: set[str] = set()

    def idle(self) -> bool:
        """Tell that each call counts."""
        return False

    def watch(self, call: Call) -> Watch:
        """Start the clock."""
        return _CountedCall(self._metrics, call)

    def circuit(self, url: str, *, opened: bool) -> None:
        """Note whether this client leaves the server alone."""
        with self._lock:
            if opened == (url in self._opened):
                return
            (self._opened.add if opened else self._opened.discard)(url)
            self._metrics.circuits.labels(url).inc(1 if opened else -1)

    def close(self) -> None:
        """Take this client's circuits out of the count."""
        for url in list(self._opened):
            self.circuit(url, opened=False)


class _Metrics:
    """The metrics of one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        name = "tritonforge_client"
        self.requests = Counter(
            f"{name}_requests",
            "Calls that are over, retries not counted apart.",
            (*_OF_CALL, "code"),
            registry=registry,
        )
        self.seconds = Histogram(
            f"{name}_request_duration_seconds",
            "The time of a call, its retries and the waits before them included; of a stream until its end.",
            (*_OF_CALL, "code"),
            registry=registry,
            buckets=_BUCKETS_S,
        )
        self.in_flight = Gauge(f"{name}_requests_in_flight", "Calls under way.", _OF_CALL, registry=registry)
        self.retries = Counter(
            f"{name}_retries", "Attempts made again, by the server that failed.", _OF_CALL, registry=registry
        )
        self.circuits = Gauge(
            f"{name}_circuit_open", "Clients that leave the server alone for now.", ("url",), registry=registry
        )
        # Finding a child by its labels takes longer than to count.
        self.ended = lru_cache(maxsize=4096)(self._ended)
        self._under_way: dict[tuple[str, str, str], _UnderWay] = {}

    def _ended(self, method: str, model: str, url: str, code: str) -> tuple[Counter, Histogram]:
        return self.requests.labels(method, model, url, code), self.seconds.labels(method, model, url, code)

    def under_way(self, method: str, model: str, url: str) -> _UnderWay:
        """Give the calls under way of this method, model and URL."""
        known = self._under_way.get((method, model, url))
        if known is None:
            known = _UnderWay(self.in_flight.labels(method, model, url))
        return self._under_way.setdefault((method, model, url), known)


class _UnderWay:
    """The calls under way of one kind. They are kept, not counted, so that one leaves once, however often it does.

    An exception of a signal handler, as Ctrl-C's, may come between any two steps: a call that it ends leaves, at the
    latest, as its object goes.
    """

    __slots__ = ("__weakref__", "_calls", "_gauge", "_lock")

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge
        self._calls: set[int] = set()
        self._lock = threading.RLock()  # a call's object may go at any moment
        watch_forks(self)

    def enter(self, call: object) -> None:
        with self._lock:
            self._calls.add(id(call))
            self._gauge.set(len(self._calls))

    def leave(self, call: object) -> None:
        with self._lock:
            self._calls.discard(id(call))
            self._gauge.set(len(self._calls))

    def after_fork(self) -> None:
        """Let go of the parent's calls, which go on there alone, and of what a thread of it may have held."""
        self._calls, self._lock = set(), threading.RLock()


_LOCK = threading.Lock()
_OF_REGISTRY: WeakKeyDictionary[CollectorRegistry, _Metrics] = WeakKeyDictionary()
"""A registry refuses a second metric of one name, so clients must find the first."""


def _metrics_of(registry: CollectorRegistry) -> _Metrics:
    with _LOCK:
        if registry not in _OF_REGISTRY:
            _OF_REGISTRY[registry] = _Metrics(registry)
        return _OF_REGISTRY[registry]


class _CountedCall:
    __slots__ = ("_metrics", "_names", "_start", "_under_way", "_url")

    headers: Headers = ()

    def __init__(self, metrics: _Metrics, call: Call) -> None:
        self._metrics = metrics
        self._names = (call.subject, call.target.model)
        self._url = call.target.url
        self._under_way: _UnderWay | None = None
        self._start = time.perf_counter()

    def attempt(self, url: str) -> None:
        self._leave()
        self._url = url
        self._under_way = self._metrics.under_way(*self._names, url)
        self._under_way.enter(self)

    def retry(self, url: str, error: ClientError, delay_s: float) -> None:
        self._metrics.retries.labels(*self._names, url).inc()

    def came(self, size: int, version: str = "") -> None:
        pass

    def done(self, error: BaseException | None) -> None:
        self._leave()
        counter, histogram = self._metrics.ended(*self._names, self._url, _code(error))
        counter.inc()
        histogram.observe(time.perf_counter() - self._start)

    def _leave(self) -> None:
        if self._under_way is not None:
            self._under_way.leave(self)
            self._under_way = None

    def __del__(self) -> None:
        if hasattr(self, "_under_way"):
            self._leave()


def _code(error: BaseException | None) -> str:
    if error is None:
        return "OK"
    if isinstance(error, Exception):
        return type(error).__name__
    return "Cancelled"  # a task's CancelledError, a stream's GeneratorExit, KeyboardInterrupt
