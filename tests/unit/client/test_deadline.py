"""The limit on a call."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tritonforge.client.deadline import Deadline


@pytest.mark.parametrize(
    ("timeout_s", "given"), [(5, "5 s"), (0.00892749, "0.00893 s"), (1.5, "1.5 s"), (86_400, "86400 s")]
)
def test_how_long_a_call_was_given_is_told_in_three_digits(timeout_s, given):
    assert Deadline(timeout_s).given == given


@pytest.mark.parametrize("timeout_s", [0, -1, math.nan, math.inf, -math.inf])
def test_only_a_finite_time_above_zero_is_a_timeout(timeout_s):
    with pytest.raises(ValueError, match="finite number of seconds above 0"):
        Deadline(timeout_s)


def test_time_left_falls_to_a_timeout():
    assert 0 < Deadline(60).left_s() <= 60
    late = Deadline(1e-9)
    with pytest.raises(TimeoutError):
        late.left_s()


def test_a_very_long_timeout_is_one_that_sockets_take():
    assert Deadline(1e300).left_s() < 2**31 / 1000


@pytest.mark.parametrize("seconds", [np.float32(2), np.int64(2), np.float64(2)])
def test_numpys_numbers_are_numbers_of_seconds(seconds):
    assert 0 < Deadline(seconds).left_s() <= 2
    with pytest.raises(ValueError, match="above 0"):
        Deadline(seconds * 0)
