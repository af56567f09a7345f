"""Bisection, and what a search needs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonforge.load import InvalidLoad, Load, Settings, find_max
from tritonforge.load.search import bisect


@given(st.integers(0, 300), st.integers(1, 64), st.integers(1, 300))
def test_the_greatest_whole_number_that_is_met_is_found(limit: int, low: int, extra: int) -> None:
    high = low + extra
    found = bisect(lambda value: value <= limit, low, high, precision=0.0, whole=True)
    assert found == (None if limit < low else min(limit, high))


@given(st.floats(0.5, 1e5), st.floats(1, 100))
def test_a_rate_is_found_within_the_precision_in_few_trials(limit: float, low: float) -> None:
    tried: list[float] = []

    def met(value: float) -> bool:
        tried.append(value)
        return value <= limit

    found = bisect(met, low, 1e6, precision=0.05)
    assert (found is None) == (limit < low)
    if found is not None:
        assert found <= limit <= found * 1.05 + 1e-9
    assert len(tried) < 30


def test_a_search_without_an_objective_is_refused() -> None:
    with pytest.raises(InvalidLoad, match="needs an objective"):
        find_max(Settings("http://127.0.0.1:1", (), (Load("rate", 1),)))
