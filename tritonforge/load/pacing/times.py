"""Times of requests from a file: a schedule made by hand, or the record of real ones to replay."""

from __future__ import annotations

import json
import math
from datetime import datetime
from pathlib import Path
from typing import Any

from tritonforge.load.errors import InvalidLoad

__all__ = ["LATEST_S", "read_times"]

LATEST_S = 1e9
"""The latest time of a load from its start on, 32 years: nanoseconds of it have room in 64 bits."""

_KEYS = ("time", "timestamp", "ts")
_LATEST_START_S = 60.0
"""A schedule that begins later has times of a clock, not of its own."""
_LATEST_S = 1e11
"""Greater numbers are no seconds since 1970, but milliseconds, or less: in seconds, this is the year 5138."""
_REPLAY = "For recorded times, which begin at the first request, there is --replay"


def read_times(path: Path, *, speed: float = 1.0, from_first: bool = True) -> tuple[float, ...]:
    """Read one time a line, in seconds or ISO 8601; or JSON lines with one under `time`, `timestamp` or `ts`.

    Lines that are empty, or begin with `#`, are passed over, and so is a byte order mark.

    They may be in any order; the result is in ascending order. It counts from the first; `speed` 2 replays twice as
    fast. Not `from_first`, they count from 0, which none may precede: they are in seconds, and the first is within a
    minute.
    Raise InvalidLoad for a line that is none of these, or a file without any.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidLoad(f"{path}: {error}") from error
    times = []
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                times.append(_seconds(line.strip(), dates=from_first))
            except ValueError as error:
                raise InvalidLoad(f"{path}:{number}: {line[:60]!r} is no time: {error}") from error
    if not times:
        raise InvalidLoad(f"{path}: it holds no times")
    if not speed > 0:
        raise InvalidLoad(f"speed is {speed:g}; it is above 0")
    times.sort()
    if from_first and times[-1] > _LATEST_S:
        raise InvalidLoad(
            f"{path}: {times[-1]:.20g} is no time in seconds, which is what a line has; divide milliseconds by 1000"
        )
    start = times[0] if from_first else 0.0
    if times[0] < start:
        raise InvalidLoad(f"{path}: {times[0]:g} precedes 0, the start of the schedule")
    if times[0] - start > _LATEST_START_S:
        raise InvalidLoad(
            f"{path}: its first time is {times[0]:.10g} s after the start; a schedule counts from 0. {_REPLAY}"
        )
    found = tuple((time - start) / speed for time in times)
    if not found[-1] <= LATEST_S:
        raise InvalidLoad(f"{path}: its last time is {found[-1]:g} s after the start; it is at most {LATEST_S:g} s")
    return found


def _seconds(text: str, *, dates: bool) -> float:
    value: Any = text
    if text.startswith("{"):
        try:
            row = json.loads(text)
        except ValueError as error:
            raise ValueError(f"no JSON: {error}") from error
        value = next((row[key] for key in _KEYS if key in row), None)
        if value is None:
            raise ValueError(f"it has none of {', '.join(_KEYS)}")
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = _of_date(str(value), dates)
    if not math.isfinite(seconds):
        raise ValueError("it is not finite")
    return seconds


def _of_date(text: str, allowed: bool) -> float:
    try:
        seconds = datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        wanted = "a number of seconds or ISO 8601" if allowed else "a number of seconds"
        raise ValueError(f"wanted {wanted}, or JSON with one under {', '.join(_KEYS)}") from None
    if not allowed:
        raise ValueError(f"a schedule counts seconds from 0. {_REPLAY}")
    return seconds
