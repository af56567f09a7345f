"""Figures over windows against their definitions."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tritonforge.load.figures.estimates import estimate, is_stable, pooled_rate, summarize, t_quantile
from tritonforge.load.figures.histogram import RELATIVE_ERROR, Histogram

POSITIVE = st.floats(1e-3, 1e6)


@pytest.mark.parametrize("degrees", [1, 2, 3, 9, 29, 30, 31, 60, 120, 1000])
def test_students_t_is_scipys(degrees: int) -> None:
    assert t_quantile(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), abs=2e-4)


@given(st.lists(POSITIVE, min_size=2, max_size=30))
def test_an_interval_is_students_about_the_pooled_value(values: list[float]) -> None:
    mean = statistics.fmean(values)
    half = stats.t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    found = estimate(mean, values)
    assert found.value == mean
    assert found.low == pytest.approx(max(0.0, mean - half), abs=1e-3 * mean)
    assert found.high == pytest.approx(mean + half, rel=1e-3)
    assert found.half == pytest.approx(half, abs=1e-3 * (mean + half))


def test_one_window_has_no_interval() -> None:
    one = estimate(5.0, [5.0])
    assert (one.low, one.high, one.half) == (None, None, None)


@given(st.lists(st.tuples(st.integers(0, 10**6), POSITIVE), min_size=1, max_size=20))
def test_a_rate_is_all_requests_by_all_time(windows: list[tuple[int, float]]) -> None:
    counts, durations = [float(count) for count, _ in windows], [duration for _, duration in windows]
    assert pooled_rate(counts, durations).value == pytest.approx(sum(counts) / sum(durations))


@given(st.lists(st.lists(st.integers(1, 10**10), min_size=1, max_size=50), min_size=1, max_size=6))
def test_percentiles_are_of_the_pooled_times(windows: list[list[int]]) -> None:
    pooled = sorted(value for window in windows for value in window)
    found = summarize([Histogram.of(window) for window in windows])
    assert found.count == len(pooled)
    exact = pooled[math.floor(0.99 * (len(pooled) - 1) + 0.5)] / 1e3
    assert found.p99_us.value == pytest.approx(exact, rel=RELATIVE_ERROR)
    assert found.max_us.value == pooled[-1] / 1e3


@given(
    st.lists(st.tuples(POSITIVE, POSITIVE), max_size=8),
    st.floats(0.01, 0.5),
)
def test_windows_agree_as_perf_analyzer_has_it(windows: list[tuple[float, float]], within: float) -> None:
    rates, latencies = [rate for rate, _ in windows], [latency for _, latency in windows]
    exact = len(windows) >= 3 and all(
        max(values[-3:]) <= min(values[-3:]) * (1 + within) for values in (rates, latencies)
    )
    assert is_stable(rates, latencies, within=within) == exact


def test_windows_without_requests_do_not_agree() -> None:
    assert not is_stable([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], within=0.1)
