"""Bisection, and what a search needs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonforge.load import (
    InvalidLoad,
    Load,
    LoadFailed,
    ModelLoad,
    Point,
    Settings,
    SweepInterrupted,
    SweepStopped,
    find_max,
    parse_slo,
)
from tritonforge.load.figures.histogram import Histogram
from tritonforge.load.figures.merge import make_point
from tritonforge.load.search import bisect
from tritonforge.load.workers.job import Tally


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


def test_a_search_beyond_its_number_of_requests_is_refused() -> None:
    """Each load would be as many requests at once as there are, whatever it is called."""
    settings = Settings(
        "http://127.0.0.1:1", (ModelLoad("m"),), (Load("concurrency", 1),), slo=parse_slo("p99=5ms"), requests=20
    )
    with pytest.raises(InvalidLoad, match="requests is 20, and the search goes up to concurrency 4096: give 4096 or"):
        find_max(settings)


@pytest.mark.parametrize("ends", [LoadFailed("it is gone"), KeyboardInterrupt()])
def test_a_search_that_is_not_finished_tells_the_best_so_far(
    ends: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fourth load ends it, after three that met the objective."""
    settings = Settings("http://127.0.0.1:1", (ModelLoad("m"),), (Load("concurrency", 1),), slo=parse_slo("p99=5ms"))
    latency = Histogram.of([1_000_000] * 100)

    class Pretended:
        server: ClassVar[dict[str, Any]] = {}

        def __init__(self, settings: Settings, **more: Any) -> None:
            self.settings = settings

        def __enter__(self) -> Pretended:
            return self

        def __exit__(self, *error: object) -> None:
            """Nothing is open."""

        def measure(self, load: Load, **more: Any) -> Point:
            if load.value > 4:
                raise ends
            return make_point(load, self.settings, [Tally(0, 10**9, latency, latency)], 1, agreed=True)

    monkeypatch.setattr("tritonforge.load.search.Session", Pretended)
    with pytest.raises((SweepStopped, SweepInterrupted)) as error:
        find_max(settings)
    report = error.value.report  # type: ignore[attr-defined]
    assert (report.best, report.at_end, report.complete) == (Load("concurrency", 4), False, False)
    met = find_max(replace(settings, loads=(Load("concurrency", 1), Load("concurrency", 4))))
    assert (met.best, met.at_end, met.complete) == (Load("concurrency", 4), True, True)
