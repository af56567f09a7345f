"""Intended times of open loops."""

from __future__ import annotations

from itertools import islice
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tritonforge.load.pacing.schedule import Schedule, intended_times, span_of


def first(schedule: Schedule, count: int) -> list[int]:
    return list(islice(intended_times(schedule), count))


def test_a_constant_rate_is_even() -> None:
    assert first(Schedule(1000), 5) == [0, 1_000_000, 2_000_000, 3_000_000, 4_000_000]


def test_a_span_is_that_of_all_processes_times() -> None:
    assert span_of(Schedule(100, burst=3), 2, 5) == 30_000_000
    assert span_of(Schedule(1, times_s=(5.0, 5.5, 7.0)), 0, 2) == 2_000_000_000
    assert span_of(Schedule(1, times_s=(5.0, 5.5, 7.0)), 0, 3) == 0


def test_a_burst_comes_at_once_and_keeps_the_rate() -> None:
    assert first(Schedule(100, burst=3), 7) == [0, 0, 0, 30_000_000, 30_000_000, 30_000_000, 60_000_000]


@given(
    st.sampled_from(["constant", "poisson", "gamma"]),
    st.integers(1, 5),
    st.integers(1, 7),
    st.floats(0, 2),
    st.integers(0, 2**31),
)
@settings(max_examples=30)
def test_processes_share_the_same_times(arrivals: str, parts: int, burst: int, ramp_s: float, seed: int) -> None:
    schedule = Schedule(500, arrivals, burst=burst, ramp_s=ramp_s, seed=seed)  # type: ignore[arg-type]
    whole = first(schedule, 3000)
    assert whole == sorted(whole)
    for part in range(parts):
        mine = whole[part::parts]
        assert list(islice(intended_times(schedule, part, parts), len(mine))) == mine


@pytest.mark.parametrize(("arrivals", "variation"), [("poisson", 1.0), ("gamma", 0.5**0.5)])
def test_random_arrivals_have_their_rate_and_spread(arrivals: str, variation: float) -> None:
    gaps = np.diff(first(Schedule(200, arrivals, seed=3), 40_000)) / 1e9  # type: ignore[arg-type]
    assert gaps.mean() == pytest.approx(1 / 200, rel=0.03)
    assert gaps.std() / gaps.mean() == pytest.approx(variation, rel=0.05)


@given(st.floats(10, 1000), st.floats(0.1, 5))
def test_a_ramp_grows_linearly_then_keeps_the_rate(rate: float, ramp_s: float) -> None:
    times = np.array(first(Schedule(rate, ramp_s=ramp_s), 4000)) / 1e9
    for number in (10, 500, 3999):
        time = times[number]
        due = rate * time**2 / (2 * ramp_s) if time < ramp_s else rate * (time - ramp_s / 2)
        assert due == pytest.approx(number, rel=1e-4, abs=1e-3)


def test_recorded_times_are_sorted_and_repeat_where_asked() -> None:
    assert first(Schedule(1, times_s=(0.5, 0.1)), 9) == [100_000_000, 500_000_000]
    repeated = first(Schedule(1, times_s=(0.5, 0.1), repeat_s=2.0), 4)
    assert repeated == [100_000_000, 500_000_000, 2_100_000_000, 2_500_000_000]


@given(
    st.lists(st.integers(0, 5_000), min_size=1, max_size=20),
    st.integers(1, 3_000),
    st.integers(1, 4),
    st.integers(1, 3),
)
def test_turns_that_overlap_are_merged_in_due_order(
    times_ms: list[int], repeat_ms: int, turns: int, parts: int
) -> None:
    """A turn begins while the one before has times left: none waits for those."""
    schedule = Schedule(1, times_s=tuple(ms / 1e3 for ms in times_ms), repeat_s=repeat_ms / 1e3)
    whole = sorted(ms + turn * repeat_ms for ms in times_ms for turn in range(turns * len(times_ms)))
    wanted = [ms * 1_000_000 for ms in whole[: turns * len(times_ms)]]
    wanted = [time for time in wanted if time < (min(times_ms) + turns * len(times_ms) * repeat_ms) * 1_000_000]
    assert first(schedule, len(wanted)) == wanted
    for part in range(parts):
        mine = wanted[part::parts]
        assert list(islice(intended_times(schedule, part, parts), len(mine))) == mine


@pytest.mark.parametrize("rate", [1e-12, 1e-320])
@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
def test_what_is_due_in_a_hundred_years_is_not_due_before(
    rate: float, arrivals: Literal["constant", "poisson"]
) -> None:
    assert first(Schedule(rate, arrivals), 3)[1:] == [2**62] * 2
