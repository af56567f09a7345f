"""The fixture `perf_sweep` for users' own suites; loaded by pytest, so that nothing heavy is imported here.

Where pytest-benchmark is active, each load of a sweep is stored as one of its benchmarks: a round is a window, its time
is that of one inference (1 / throughput), so that OPS is inferences a second. `--benchmark-save`, `--benchmark-compare`
and `--benchmark-compare-fail=mean:5%` then work on it. Without pytest-benchmark the fixture measures all the same.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tritonforge.load import Point, Report

__all__ = ["perf_sweep"]


def pytest_itemcollected(item: pytest.Item) -> None:
    """Have pytest-benchmark know the tests that sweep, for its --benchmark-only, -skip and -disable."""
    names = getattr(item, "fixturenames", [])
    if "perf_sweep" in names and "benchmark" not in names and item.config.pluginmanager.hasplugin("benchmark"):
        names.append("benchmark")


@pytest.fixture
def perf_sweep(request: pytest.FixtureRequest) -> Callable[..., Report]:
    """Give a function that measures: the model's name, and the options of `tritonforge perf` as keywords.

    `perf_sweep("fraud", url=server.http_url, concurrency="1:16:x4", duration=3)` gives the `Report`. A mistake in the
    options raises `BadOption`; a server that doesn't answer, the engine's error.
    """
    benchmark = request.getfixturevalue("benchmark") if "benchmark" in request.fixturenames else None

    def sweep(model: str, **options: Any) -> Report:
        from tritonforge.report.scenario import scenario_of
        from tritonforge.report.sweep import sweep as measure

        report = measure(scenario_of({"model": model, **options}))
        if benchmark is not None and benchmark.enabled:
            for point in report.points:
                _store(benchmark, model, point)
        return report

    if benchmark is not None:
        benchmark._mode = "perf_sweep"  # else pytest-benchmark warns that its fixture was not used
    return sweep


def _store(benchmark: Any, model: str, point: Point) -> None:
    """Store a load's windows as the rounds of a benchmark of its own."""
    rounds = [1 / window.throughput for window in point.windows if window.measured and window.throughput]
    if not rounds:
        return
    fixture = copy.copy(benchmark)
    label = f"{model}, {point.load}, {point.protocol}"
    fixture.name, fixture.fullname = f"{benchmark.name} [{label}]", f"{benchmark.fullname} [{label}]"
    fixture.extra_info = {
        **benchmark.extra_info,
        "throughput": point.throughput.value,
        **{f"{name}_us": getattr(point.latency, f"{name}_us").value for name in ("mean", "p50", "p90", "p95", "p99")},
        "errors": point.failed,
        "stable": point.stable,
    }
    stats = fixture._make_stats(1)
    for seconds in rounds:
        stats.update(seconds)
