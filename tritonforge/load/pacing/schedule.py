"""When requests are meant to start, in an open loop: absolute times, known before any of them is sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tritonforge.load.settings import Load, Settings

__all__ = ["Schedule", "due_between", "intended_times", "schedule_of", "span_of"]

_CHUNK = 1024
_NEVER_NS = 2.0**62


@dataclass(frozen=True, slots=True)
class Schedule:
    """Arrivals at `rate` a second, or at `times_s`, which begin anew every `repeat_s` where that is above 0.

    The next turn doesn't wait for the last time of the one before.

    `gamma` spaces them by a gamma distribution of mean 1/rate and of shape `gamma_shape`: below 1 burstier than
    Poisson's, above 1 more even. `burst` of them come at once, at 1/burst of the rate. In the first `ramp_s` the rate
    grows linearly from 0.
    """

    rate: float
    arrivals: Literal["constant", "poisson", "gamma"] = "constant"
    gamma_shape: float = 2.0
    burst: int = 1
    ramp_s: float = 0.0
    seed: int = 0
    times_s: tuple[float, ...] = ()
    repeat_s: float = 0.0


def intended_times(schedule: Schedule, part: int = 0, parts: int = 1) -> Iterator[int]:
    """Give every `parts`-th time, from the `part`-th on, in ns from the start. All parts draw the same times."""
    chunks = _given(schedule) if schedule.times_s else _drawn(schedule)
    position = part
    for times in chunks:
        mine = times[position::parts]
        position = (position - len(times)) % parts
        yield from mine.tolist()


def span_of(schedule: Schedule, first: int, last: int) -> int:
    """Give the ns from one of all processes' times, by its number, to another; 0 where there is none of these."""
    times = islice(intended_times(schedule), first, last + 1)
    begin = next(times, 0)
    return next(islice(times, last - first - 1, None), begin) - begin


def schedule_of(load: Load, settings: Settings) -> Schedule:
    """Give the arrivals of a load that isn't a closed loop."""
    return Schedule(
        load.value,
        settings.arrivals,
        settings.gamma_shape,
        settings.burst,
        settings.ramp_s,
        settings.seed,
        settings.times_s if load.given else (),
        settings.repeat_s,
    )


def due_between(schedule: Schedule, start_ns: int, end_ns: int) -> int:
    """Count the drawn times from one to another, in ns from the start."""
    found = 0
    for times in _drawn(schedule):
        first, last = np.searchsorted(times, (start_ns, end_ns))
        found += int(last - first)
        if times[-1] >= end_ns:
            break
    return found


def _given(schedule: Schedule) -> Iterator[NDArray[np.int64]]:
    times = np.sort(np.rint(np.asarray(schedule.times_s, np.float64) * 1e9).astype(np.int64))
    if schedule.repeat_s <= 0:
        yield times
        return
    # A time is due once in each period from its own on, at the same place in it: turns that overlap are in order.
    period = max(round(schedule.repeat_s * 1e9), 1)
    begins, places = np.divmod(times, period)
    order = np.argsort(places, kind="stable")
    begins, places = begins[order], places[order]
    for number in count(int(begins.min())):
        yield places[begins <= number] + number * period


def _drawn(schedule: Schedule) -> Iterator[NDArray[np.int64]]:
    random = np.random.default_rng(schedule.seed)
    due = 0.0  # how many were due so far: arrivals of a process of rate 1, warped to the rate below
    for chunk in count():
        if schedule.arrivals == "constant":
            groups = np.arange(chunk * _CHUNK, (chunk + 1) * _CHUNK, dtype=np.float64)
        else:
            shape = 1.0 if schedule.arrivals == "poisson" else schedule.gamma_shape
            groups = due + np.cumsum(random.gamma(shape, 1 / shape, _CHUNK))
            due = float(groups[-1])
        yield np.repeat(_warped(groups * schedule.burst, schedule), schedule.burst)


def _warped(due: NDArray[np.float64], schedule: Schedule) -> NDArray[np.int64]:
    """Find when the integral of the rate reaches each number: rate t² / 2 ramp within the ramp, then linear."""
    rate, ramp = schedule.rate, schedule.ramp_s
    with np.errstate(over="ignore"):
        times = ramp / 2 + due / rate
    if ramp > 0:
        times = np.where(due < rate * ramp / 2, np.sqrt(2 * ramp * due / rate), times)
    whole: NDArray[np.int64] = np.rint(np.minimum(times * 1e9, _NEVER_NS)).astype(np.int64)
    return whole
