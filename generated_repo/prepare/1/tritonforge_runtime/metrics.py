"""Metrics of the user's own, which the server shows at its metrics port.

Each is labelled with the model and the version that it comes from, and the instances of a model add up in one.
"""

from __future__ import annotations

import math
import re
import threading
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import triton_python_backend_utils as pb_utils

from .instance import current

__all__ = ["Counter", "Gauge", "Histogram", "counter", "gauge", "histogram"]

_PREFIX = "tritonforge_"
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_OWN = frozenset({"model", "version", "le"})
Label = str | int | float | np.generic
"""The value of a label, also a bool: shown as its `str()`, since what is no string may abort Triton (24.10)."""

M = TypeVar("M", bound="_Metric")

_known: dict[str, _Metric] = {}
_lock = threading.RLock()


class _Metric:
    """What all kinds have in common: a name, and a value for each set of labels."""

    def __init__(self, name: str, help: str) -> None:
        self.name = name
        self.help = _text(help, f"metric {name}: its help")
        self._values: dict[tuple[tuple[str, str], ...], float] = {}
        self._shown: dict[tuple[tuple[str, str], ...], Any] = {}
        self._families: dict[str, Any] = {}

    def value(self, **labels: Label) -> float:
        """Give what this process has counted: the value; of a histogram, how often it observed."""
        return self._values.get(_key(labels), 0)

    def _change(self, labels: dict[str, Label], amount: float, tell: Callable[[Any], object]) -> None:
        """Count here, and tell the server."""
        key = _key(labels)
        with _lock:
            self._values[key] = self._values.get(key, 0) + amount
            if current() is not None:
                if key not in self._shown:
                    self._shown[key] = self._show(dict(key))
                tell(self._shown[key])

    def _show(self, labels: dict[str, str]) -> Any:
        raise NotImplementedError

    def _make(self, kind: str, labels: dict[str, str], suffix: str = "", **options: Any) -> Any:
        """Make one series in the server; its family lives as long as this process."""
        if suffix not in self._families:
            self._families[suffix] = pb_utils.MetricFamily(
                name=f"{_PREFIX}{self.name}{suffix}",
                description=self.help.replace("\\", r"\\").replace("\n", r"\n"),  # Triton 24.10 writes it as it is
                kind=getattr(pb_utils.MetricFamily, kind),
            )
        instance = current()
        assert instance is not None, "only asked for inside Triton"
        own = {"model": instance.model, "version": str(instance.version)}
        return self._families[suffix].Metric(labels={**own, **labels}, **options)


class Counter(_Metric):
    """A number that only grows."""

    def inc(self, amount: float = 1, /, **labels: Label) -> None:
        """Add to it.

        Raises:
            ValueError: the amount is negative or no finite number, or a label can't have its name or value.
        """
        amount = _number(amount, f"counter {self.name}: the amount")
        if amount < 0:
            raise ValueError(f"counter {self.name}: {amount:g} is negative; a gauge may shrink")
        self._change(labels, amount, lambda shown: shown.increment(amount))

    def _show(self, labels: dict[str, str]) -> Any:
        return self._make("COUNTER", labels)


class Gauge(_Metric):
    """A number that goes up and down."""

    def set(self, value: float, /, **labels: Label) -> None:
        """Set it. The instances of a model share it, and the last one wins."""
        value = _number(value, f"gauge {self.name}: the value")
        self._change(labels, value - self.value(**labels), lambda shown: shown.set(value))

    def inc(self, amount: float = 1, /, **labels: Label) -> None:
        """Add to it."""
        amount = _number(amount, f"gauge {self.name}: the amount")
        self._change(labels, amount, lambda shown: shown.increment(amount))

    def dec(self, amount: float = 1, /, **labels: Label) -> None:
        """Take from it."""
        self.inc(-_number(amount, f"gauge {self.name}: the amount"), **labels)

    def _show(self, labels: dict[str, str]) -> Any:
        return self._make("GAUGE", labels)


class Histogram(_Metric):
    """How often values fell below each of its bounds."""

    def __init__(self, name: str, help: str, buckets: Sequence[float]) -> None:
        super().__init__(name, help)
        self.buckets = list(buckets)

    def observe(self, value: float, /, **labels: Label) -> None:
        """Count a value."""
        value = _number(value, f"histogram {self.name}: a value")
        self._change(labels, 1, lambda shown: shown.observe(value))

    def _show(self, labels: dict[str, str]) -> Any:
        if hasattr(pb_utils.MetricFamily, "HISTOGRAM"):
            return self._make("HISTOGRAM", labels, buckets=self.buckets)
        return _Counted(self.buckets, lambda kind, suffix, **more: self._make(kind, {**labels, **more}, suffix))


class _Counted:
    """A histogram made of counters, for releases that have none of their own: the same series, of other types."""

    def __init__(self, buckets: Sequence[float], make: Callable[..., Any]) -> None:
        self._bounds = buckets
        self._series = [make("COUNTER", "_bucket", le=le) for le in (*(f"{bound:g}" for bound in buckets), "+Inf")]
        self._sum = make("GAUGE", "_sum")
        self._count = make("COUNTER", "_count")

    def observe(self, value: float) -> None:
        for series in self._series[bisect_left(self._bounds, value) :]:
            series.increment(1)
        self._sum.increment(value)
        self._count.increment(1)


def counter(name: str, help: str) -> Counter:
    """Make a counter, or give the one of that name."""
    return _once(name, Counter, lambda: Counter(name, help))


def gauge(name: str, help: str) -> Gauge:
    """Make a gauge, or give the one of that name."""
    return _once(name, Gauge, lambda: Gauge(name, help))


def histogram(name: str, help: str, *, buckets: Sequence[float]) -> Histogram:
    """Make a histogram with these upper bounds, or give the one of that name."""
    bounds = [_number(bound, f"histogram {name}: a bucket") for bound in buckets]
    if not bounds or bounds != sorted(set(bounds)):
        raise ValueError(f"histogram {name}: buckets are {bounds}; wanted upper bounds in ascending order")
    return _once(name, Histogram, lambda: Histogram(name, help, bounds))


def _once(name: str, kind: type[M], make: Callable[[], M]) -> M:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"a metric can't be named {name!r}; ASCII letters, digits and _ may be in a name")
    with _lock:
        known = _known.setdefault(name, make())
    if not isinstance(known, kind):
        raise ValueError(f"metric {name} is a {type(known).__name__.lower()} already")  # noqa: TRY004 - a wrong name
    return known


def _key(labels: dict[str, Label]) -> tuple[tuple[str, str], ...]:
    if labels.keys() & _OWN:
        raise ValueError(f"labels {', '.join(sorted(labels.keys() & _OWN))} are the server's own; name them otherwise")
    return tuple(sorted((name, _label(name, value)) for name, value in labels.items()))


def _label(name: str, value: Label) -> str:
    """Give a label's value as text."""
    if not _NAME.fullmatch(name) or name.startswith("__"):
        raise ValueError(f"a label can't be named {name!r}; ASCII letters, digits and _ may be in a name, not __ first")
    if not isinstance(value, Label):
        raise ValueError(f"label {name} is {value!r}; wanted a str, a number or a bool")  # noqa: TRY004 - as all labels
    return _text(str(value), f"label {name}")


def _text(value: str, what: str) -> str:
    """Give a text that UTF-8 can hold."""
    if not isinstance(value, str) or "\0" in value or value != value.encode(errors="replace").decode():
        raise ValueError(f"{what} is {value!r}; wanted a str that is UTF-8, without NUL")
    return value


def _number(value: Any, what: str) -> float:
    """Give a finite number as a float: any other would stay in a sum for ever."""
    try:
        number = math.nan if isinstance(value, str | bytes) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{what} is {value!r}; wanted a finite number")
    return number
