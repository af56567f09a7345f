"""One limit on the time of a whole call."""

from __future__ import annotations

import math
import time
from numbers import Real

from tritonforge.client.tensors.arguments import named_input

__all__ = ["Deadline"]

_LONGEST_S = 1_000_000.0  # poll() takes milliseconds in an int: 24 days at most
_SHORTEST_S = 1e-6
_LONGEST_SHARE_S = 3.0  # time for a lost packet of a handshake, which is sent again after one second


class Deadline:
    """The moment at which a call must be over, on the monotonic clock; `timeout_s` is how long it was given."""

    __slots__ = ("at", "shared", "timeout_s")

    def __init__(self, timeout_s: float) -> None:
        """Start the clock. Raise ValueError where `timeout_s` isn't finite and above 0, TypeError for no number."""
        try:
            fits = 0 < timeout_s < math.inf
        except (TypeError, ValueError) as error:  # the latter of arrays
            raise _no_number(timeout_s) from error
        if fits is not True or timeout_s is True:  # numpy's numbers give its own truth values, as its arrays do
            _require_number(timeout_s)
            if not fits:
                raise ValueError(f"timeout_s is {timeout_s}; it must be a finite number of seconds above 0")
        self.timeout_s = timeout_s
        self.at = time.monotonic() + (timeout_s if timeout_s < _LONGEST_S else _LONGEST_S)
        self.shared = False

    @property
    def began(self) -> float:
        """The moment at which the call began, on the monotonic clock."""
        return self.at - min(self.timeout_s, _LONGEST_S)

    @property
    def given(self) -> str:
        """How long the call was given, in words: three digits, or all before the point."""
        return f"{self.timeout_s:.0f} s" if self.timeout_s >= 1000 else f"{self.timeout_s:.3g} s"

    @property
    def over(self) -> bool:
        """Whether no time is left."""
        return self.at <= time.monotonic()

    def left_s(self) -> float:
        """Tell how many seconds are left. Raise TimeoutError where none are."""
        left_s = self.at - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        return left_s

    def share(self) -> Deadline:
        """Give a share of what is left, to be spent on one server while others are untried: half of it, 3 s at most."""
        share_s = min((self.at - time.monotonic()) / 2, _LONGEST_SHARE_S)
        return Deadline(max(share_s, _SHORTEST_S))

    def sharing(self) -> Deadline:
        """Give the same moment, for an attempt that may spend no more than a share of the time on connecting."""
        same = Deadline(self.timeout_s)
        same.at, same.shared = self.at, True
        return same

    def to_connect(self) -> Deadline:
        """Give the limit on a connection that is to be made now."""
        return self.share() if self.shared else self


def _require_number(value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise _no_number(value)


def _no_number(value: object) -> TypeError:
    words = f"timeout_s is {value!r}; it must be a finite number of seconds above 0"
    return TypeError(f"{words}{named_input('timeout_s', value)}")
