"""The histogram against the values themselves."""

from __future__ import annotations

import json
import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonforge.load.codec import decode, encode
from tritonforge.load.figures.histogram import RELATIVE_ERROR, Histogram, bucket_bounds, bucket_of

TIMES = st.lists(st.integers(0, 10**12), min_size=1, max_size=200)


@given(TIMES, st.sampled_from([0, 1, 50, 90, 95, 99, 99.9, 100]))
def test_a_percentile_is_within_the_stated_error_of_the_one_perf_analyzer_picks(
    values: list[int], percent: float
) -> None:
    exact = sorted(values)[math.floor(percent / 100 * (len(values) - 1) + 0.5)]
    assert Histogram.of(values).percentile(percent) == pytest.approx(exact, rel=RELATIVE_ERROR)


@given(TIMES)
def test_moments_and_extremes_are_those_of_the_values(values: list[int]) -> None:
    found = Histogram.of(values)
    assert (found.count, found.minimum, found.maximum) == (len(values), min(values), max(values))
    assert found.mean == pytest.approx(statistics.fmean(values))
    exact = statistics.stdev(values) if len(values) > 1 else 0.0
    assert found.std == pytest.approx(exact, rel=1e-5, abs=1e-5 * max(values) + 1e-9)


@given(TIMES, TIMES)
def test_merged_histograms_are_the_histogram_of_all_values(ours: list[int], theirs: list[int]) -> None:
    merged, whole = Histogram.of(ours).merged(Histogram.of(theirs)), Histogram.of(ours + theirs)
    assert (merged.counts, merged.count, merged.minimum, merged.maximum) == (
        *(whole.counts, whole.count),
        *(whole.minimum, whole.maximum),
    )
    assert list(merged.counts) == sorted(merged.counts)
    assert merged.total == pytest.approx(whole.total)
    assert merged.squares == pytest.approx(whole.squares)


@given(st.integers(0, 2**52))
def test_a_value_lies_within_its_bucket_and_buckets_adjoin(value: int) -> None:
    low, high = bucket_bounds(bucket_of(value))
    assert low <= value <= high
    assert bucket_bounds(bucket_of(high) + 1)[0] == high + 1


@given(TIMES, st.integers(0, 10**12))
def test_the_share_below_a_limit_errs_only_about_the_limit(values: list[int], limit: int) -> None:
    share = Histogram.of(values).share_below(limit)
    margin = limit * 2 * RELATIVE_ERROR + 1
    assert sum(value <= limit - margin for value in values) / len(values) <= share + 1e-12
    assert share <= sum(value <= limit + margin for value in values) / len(values) + 1e-12


@given(TIMES)
def test_json_keeps_it(values: list[int]) -> None:
    histogram = Histogram.of(values)
    assert decode(Histogram, json.loads(json.dumps(encode(histogram)))) == histogram


def test_nothing_counted_gives_zeros() -> None:
    empty = Histogram.of([])
    assert (empty.mean, empty.std, empty.percentile(99), empty.merged(empty)) == (0, 0, 0, empty)


def test_memory_is_bounded_by_the_range_of_values() -> None:
    histogram = Histogram.of(range(0, 10**7, 7))
    assert histogram.count > 1_400_000
    assert len(histogram.counts) < 5000
