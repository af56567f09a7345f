"""Metrics of a model's own code: `from tritonforge import metrics`.

Inside Triton each is shown at the server's metrics port as `tritonforge_<name>`, labelled with model and version.
In eager calls they count in this process and nowhere else.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

__all__ = ["Counter", "Gauge", "Histogram", "counter", "gauge", "histogram"]

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_OWN = frozenset({"model", "version", "le"})
Label = str | int | float | np.generic
"""The value of a label, also a bool: shown as its `str()`, since what is no string may abort Triton (24.10)."""


class Metric:
    """What all kinds have in common: a name, and a value for each set of labels."""

    def __init__(self, name: str, help: str) -> None:
        self.name = name
        self.help = _text(help, f"metric {name}: its help")
        self._values: dict[tuple[tuple[str, str], ...], float] = {}
        self._lock = threading.RLock()

    def value(self, **labels: Label) -> float:
        """Give what this process has counted: the value; of a histogram, how often it observed."""
        return self._values.get(_key(labels), 0)

    def _change(self, amount: float, labels: dict[str, Label]) -> None:
        key = _key(labels)
        with self._lock:
            self._values[key] = self._values.get(key, 0) + amount


class Counter(Metric):
    """A number that only grows."""

    def inc(self, amount: float = 1, /, **labels: Label) -> None:
        """Add to it.

        Raises:
            ValueError: the amount is negative or no finite number, or a label can't have its name or value.
        """
        amount = _number(amount, f"counter {self.name}: the amount")
        if amount < 0:
            raise ValueError(f"counter {self.name}: {amount:g} is negative; a gauge may shrink")
        self._change(amount, labels)


class Gauge(Metric):
    """A number that goes up and down."""

    def set(self, value: float, /, **labels: Label) -> None:
        """Set it. The instances of a model share it, and the last one wins."""
        value = _number(value, f"gauge {self.name}: the value")
        with self._lock:
            self._change(value - self.value(**labels), labels)

    def inc(self, amount: float = 1, /, **labels: Label) -> None:
        """Add to it."""
        amount = _number(amount, f"gauge {self.name}: the amount")
        self._change(amount, labels)

    def dec(self, amount: float = 1, /, **labels: Label) -> None:
        """Take from it."""
        self.inc(-_number(amount, f"gauge {self.name}: the amount"), **labels)


class Histogram(Metric):
    """How often values fell below each of its bounds."""

    def __init__(self, name: str, help: str, buckets: Sequence[float]) -> None:
        super().__init__(name, help)
        self.buckets = list(buckets)

    def observe(self, value: float, /, **labels: Label) -> None:
        """Count a value."""
        _number(value, f"histogram {self.name}: a value")
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
    bounds = [_number(bound, f"histogram {name}: a bucket") for bound in buckets]
    if not bounds or bounds != sorted(set(bounds)):
        raise ValueError(f"histogram {name}: buckets are {bounds}; wanted upper bounds in ascending order")
    return _once(name, Histogram, lambda: Histogram(name, help, bounds))


def _once(name: str, kind: type[M], make: Callable[[], M]) -> M:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"a metric can't be named {name!r}; ASCII letters, digits and _ may be in a name")
    with _making:
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
