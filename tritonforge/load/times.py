"""Times of requests from a file: a schedule made by hand, or the record of real ones to replay."""

from __future__ import annotations

import json
import math
from datetime import datetime
from pathlib import Path
from typing import Any

from tritonforge.load.errors import InvalidLoad

__all__ = ["read_times"]

_KEYS = ("time", "timestamp", "ts")


def read_times(path: Path, *, speed: float = 1.0) -> tuple[float, ...]:
    """Read one time a line, in seconds or ISO 8601; or JSON lines with one under `time`, `timestamp` or `ts`.

    The result counts from the first of them, in ascending order; `speed` 2 replays twice as fast. Raise InvalidLoad
    for a line that is none of these, or a file without any.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidLoad(f"{path}: {error}") from error
    times = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                times.append(_seconds(line.strip()))
            except (ValueError, TypeError) as error:
                raise InvalidLoad(
                    f"{path}:{number}: {line[:60]!r} is no time in seconds or ISO 8601 ({error})"
                ) from error
    if not times:
        raise InvalidLoad(f"{path}: it holds no times")
    if not speed > 0:
        raise InvalidLoad(f"speed is {speed:g}; it is above 0")
    times.sort()
    return tuple((time - times[0]) / speed for time in times)


def _seconds(text: str) -> float:
    value: Any = text
    if text.startswith("{"):
        row = json.loads(text)
        value = next((row[key] for key in _KEYS if key in row), None)
        if value is None:
            raise ValueError(f"it has none of {', '.join(_KEYS)}")
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return datetime.fromisoformat(str(value).replace("Z", "+00:00")).timestamp()
    if not math.isfinite(seconds):
        raise ValueError("it is not finite")
    return seconds
