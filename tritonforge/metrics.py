"""Metrics of a model's own code: `from tritonforge import metrics`.

Inside Triton each is shown at the server's metrics port as `tritonforge_<name>`, labelled with model and version.
In eager calls they count in this process and nowhere else.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

__all__ = ["Counter", "Gauge", "Histogram", "counter", "gauge", "histogram"]

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_OWN = frozenset({"model", "version", "le"})


class Metric:
    """What all kinds have in common: a name, and a value for each set of labels."""

    def __init__(self, name: str, help: str) -> None:
        self.name = name
        self.help = help
        self._values: dict[tuple[tuple[str, str], ...], float] = {}
        self._lock = threading.RLock()

    def value(self, **labels: str) -> float:
        """Give what this process has counted: the value; of a histogram, how often it observed."""
        return self._values.get(_key(labels), 0)

    def _change(self, amount: float, labels: dict[str, str]) -> None:
        key = _key(labels)
        with self._lock:
            self._values[key] = self._values.get(key, 0) + amount


class Counter(Metric):
    """A number that only grows."""

    def inc(self, amount: float = 1, /, **labels: str) -> None:
        """Add to it.

        Raises:
            ValueError: the amount is negative, or a label has a name of the server's own.
        """
        if amount < 0:
            raise ValueError(f"counter {self.name}: {amount} is negative; a gauge may shrink")
        self._change(amount, labels)


class Gauge(Metric):
    """A number that goes up and down."""

    def set(self, value: float, /, **labels: str) -> None:
        """Set it. The instances of a model share it, and the last one wins."""
        with self._lock:
            self._change(value - self.value(**labels), labels)

    def inc(self, amount: float = 1, /, **labels: str) -> None:
        """Add to it."""
        self._change(amount, labels)

    def dec(self, amount: float = 1, /, **labels: str) -> None:
        """Take from it."""
        self._change(-amount, labels)


class Histogram(Metric):
    """How often values fell below each of its bounds."""

    def __init__(self, name: str, help: str, buckets: Sequence[float]) -> None:
        super().__init__(name, help)
        self.buckets = [float(bound) for bound in buckets]

    def observe(self, value: float, /, **labels: str) -> None:
        """Count a value."""
        float(value)
        self._change(1, labels)


M = TypeVar("M", bound=Metric)

_known: dict[str, Metric] = {}
_making = threading.Lock()


def counter(name: str, help: str) -> Counter:
    """Make a counter, or give the one of that name."""
    return _once(name, Counter, lambda: Counter(name, help))


def gauge(name: str, help: str) -> Gauge:
    """Make a gauge, or give the one of that name."""
    return _once(name, Gauge, lambda: Gauge(name, help))


def histogram(name: str, help: str, *, buckets: Sequence[float]) -> Histogram:
    """Make a histogram with these upper bounds, ascending, or give the one of that name."""
    if not buckets or list(buckets) != sorted(set(buckets)):
        raise ValueError(f"histogram {name}: buckets are {list(buckets)}; wanted upper bounds in ascending order")
    return _once(name, Histogram, lambda: Histogram(name, help, buckets))


def _once(name: str, kind: type[M], make: Callable[[], M]) -> M:
    if not _NAME.fullmatch(name):
        raise ValueError(f"a metric can't be named {name!r}; ASCII letters, digits and _ may be in a name")
    with _making:
        known = _known.setdefault(name, make())
    if not isinstance(known, kind):
        raise ValueError(f"metric {name} is a {type(known).__name__.lower()} already")  # noqa: TRY004 - a wrong name
    return known


def _key(labels: dict[str, str]) -> tuple[tuple[str, str], ...]:
    if labels.keys() & _OWN:
        raise ValueError(f"labels {', '.join(sorted(labels.keys() & _OWN))} are the server's own; name them otherwise")
    return tuple(sorted((name, str(value)) for name, value in labels.items()))
