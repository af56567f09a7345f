"""Ratios of windows: against SciPy and brute force, and their error rates on windows as servers give them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tritonforge.report.ratios import paired_ratio, pairs_needed, unpaired_ratio
from tritonforge.report.student import student_cumulative, student_quantile

FIGURES = st.lists(st.floats(0.1, 1e6), min_size=1, max_size=9)


@pytest.mark.parametrize("freedom", [0.7, 1, 2, 3.4, 10, 200])
@pytest.mark.parametrize("probability", [0.6, 0.9, 0.975, 0.9995])
def test_students_quantiles_are_scipys(probability: float, freedom: float) -> None:
    assert student_quantile(probability, freedom) == pytest.approx(stats.t.ppf(probability, freedom), rel=1e-8)
    assert student_cumulative(probability, freedom) == pytest.approx(stats.t.cdf(probability, freedom), rel=1e-10)


@given(FIGURES)
@settings(deadline=None, max_examples=50)
def test_the_signed_rank_interval_is_that_of_all_sign_flips(new: list[float]) -> None:
    """A ratio is inside the interval exactly where flipping the signs of the differences doesn't refute it."""
    base = [1.0] * len(new)
    ratio = paired_ratio(base, new, confidence=0.9)
    logs = np.log(new)
    means = sorted({(one + other) / 2 for one, other in itertools.product(logs, repeat=2)})
    for shift in [(low + high) / 2 for low, high in itertools.pairwise(means)]:
        ranks = stats.rankdata(np.abs(logs - shift))
        if len(set(ranks)) < len(ranks) or min(abs(m - shift) for m in means) < 1e-9:
            continue
        seen = ranks[logs > shift].sum()
        sums = [sum(r for r, up in zip(ranks, flips, strict=True) if up)
                for flips in itertools.product([0, 1], repeat=len(ranks))]  # fmt: skip
        chance = 2 * min(np.mean(np.array(sums) <= seen), np.mean(np.array(sums) >= seen))
        assert (ratio.low <= math.exp(shift) <= ratio.high) == (chance > 0.1)


@given(st.lists(st.tuples(st.floats(0.1, 1e6), st.floats(0.1, 1e6)), min_size=8, max_size=30))
@settings(deadline=None)
def test_swapping_the_sides_inverts_a_paired_ratio(pairs: list[tuple[float, float]]) -> None:
    base, new = zip(*pairs, strict=True)
    there, back = paired_ratio(base, new, confidence=0.95), paired_ratio(new, base, confidence=0.95)
    assert (there.estimate, there.low, there.high) == pytest.approx(
        (1 / back.estimate, 1 / back.high, 1 / back.low), rel=1e-9
    )
    assert there.low <= there.estimate <= there.high


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99, 1 - 0.01 / 21])
def test_as_many_pairs_as_are_needed_can_tell_and_one_fewer_cannot(confidence: float) -> None:
    for count, tells in ((pairs_needed(confidence), True), (pairs_needed(confidence) - 1, False)):
        ratio = paired_ratio([1.0] * count, [2.0 + index / 100 for index in range(count)], confidence=confidence)
        assert (ratio.low > 1) is tells
        assert math.isfinite(ratio.high) is tells


def test_series_of_different_lengths_are_no_pairs() -> None:
    with pytest.raises(ValueError, match="3 base windows beside 2 new ones"):
        paired_ratio([1, 2, 3], [1, 2], confidence=0.95)


@pytest.mark.parametrize("compare", [paired_ratio, unpaired_ratio])
def test_figures_must_be_positive(compare: object) -> None:
    with pytest.raises(ValueError, match="positive numbers, not 0"):
        compare([0.0, 1.0], [1.0, 1.0], confidence=0.95)  # type: ignore[operator]


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_windows_say_nothing(count: int) -> None:
    for compare in (paired_ratio, unpaired_ratio):
        ratio = compare([2.0] * count, [3.0] * count, confidence=0.95)
        assert (ratio.low, ratio.high) == (0, math.inf)


def windows(random: np.random.Generator, count: int, correlation: float, *, outliers: bool = True) -> np.ndarray:
    """Make logarithms of windows: autocorrelated by 5 %, and now and then far off as on a busy machine."""
    drift = np.zeros(count)
    for index in range(1, count):
        fresh = math.sqrt(1 - correlation**2) * random.standard_normal()
        drift[index] = correlation * drift[index - 1] + fresh
    return 0.05 * drift + 0.02 * (random.standard_t(2, count) if outliers else random.standard_normal(count))


def pair_up(random: np.random.Generator, logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give neighbouring windows to the base and the new one, in an order drawn by lot."""
    first = random.random(len(logs) // 2) < 0.5
    return np.where(first, logs[::2], logs[1::2]), np.where(first, logs[1::2], logs[::2])


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.95])
def test_paired_windows_of_one_server_are_called_different_as_seldom_as_promised(correlation: float) -> None:
    random = np.random.default_rng(11)
    different = 0
    for _ in range(600):
        base, new = pair_up(random, windows(random, 40, correlation))
        ratio = paired_ratio(np.exp(base), np.exp(new), confidence=0.95)
        different += not ratio.low <= 1 <= ratio.high
    assert different / 600 < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 600)


def test_a_tenth_slower_is_found_among_outliers_and_drift() -> None:
    random = np.random.default_rng(12)
    found = 0
    for _ in range(200):
        base, new = pair_up(random, windows(random, 40, 0.9))
        ratio = paired_ratio(np.exp(base), np.exp(new + math.log(1.1)), confidence=1 - 0.01 / 3)
        found += ratio.low > 1
    assert found >= 190


@pytest.mark.parametrize(("correlation", "most"), [(0.0, 0.01), (0.5, 0.015), (0.9, 0.1)])
@pytest.mark.parametrize("count", [10, 20, 40])
def test_unpaired_windows_that_depend_on_each_other_are_seldom_called_different(
    count: int, correlation: float, most: float
) -> None:
    """At the confidence of one load's three figures."""
    random = np.random.default_rng(13)
    different = 0
    for _ in range(600):
        base, new = (windows(random, count, correlation, outliers=False) for _ in range(2))
        ratio = unpaired_ratio(np.exp(base), np.exp(new), confidence=1 - 0.01 / 3)
        different += not ratio.low <= 1 <= ratio.high
    assert different / 600 < most


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.6])
def test_ten_windows_tell_a_server_that_is_much_slower(correlation: float) -> None:
    """Whatever the chance that neighbours look alike, no interval reaches so far that it tells nothing."""
    random = np.random.default_rng(14)
    found, widest = 0, 0.0
    for _ in range(300):
        base, new = (windows(random, 10, correlation, outliers=False) for _ in range(2))
        ratio = unpaired_ratio(np.exp(base), np.exp(new + math.log(1.3)), confidence=1 - 0.01 / 3)
        found += ratio.low > 1
        widest = max(widest, math.log(ratio.high / ratio.low) / 2)
    assert found > 0.85 * 300
    assert widest < 0.5


def test_unpaired_is_welch_where_windows_are_independent() -> None:
    base, new = np.array([1.0, 1.2, 0.9]), np.array([2.0, 2.5, 2.2])
    ratio = unpaired_ratio(base, new, confidence=0.95)
    known = stats.ttest_ind(np.log(new), np.log(base), equal_var=False).confidence_interval(0.95)
    assert (ratio.low, ratio.high) == pytest.approx((math.exp(known.low), math.exp(known.high)))
