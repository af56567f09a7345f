"""One limit on the time of a whole call."""

from __future__ import annotations

import math
import time

__all__ = ["Deadline"]

_LONGEST_S = 1_000_000.0  # poll() takes milliseconds in an int: 24 days at most


class Deadline:
    """The moment at which a call must be over, on the monotonic clock; `timeout_s` is how long it was given."""

    __slots__ = ("_at", "timeout_s")

    def __init__(self, timeout_s: float) -> None:
        """Start the clock. Raise ValueError where `timeout_s` isn't a finite number of seconds above 0."""
        if not (timeout_s > 0 and math.isfinite(timeout_s)):
            raise ValueError(f"timeout_s is {timeout_s}; it must be a finite number of seconds above 0")
        self.timeout_s = timeout_s
        self._at = time.monotonic() + min(timeout_s, _LONGEST_S)

    def left_s(self) -> float:
        """Tell how many seconds are left. Raise TimeoutError where none are."""
        left_s = self._at - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        return left_s
