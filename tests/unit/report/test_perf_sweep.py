"""The fixture that measures in users' tests, without a server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tritonforge.load import Report
from tritonforge.pytest_plugin import _store
from tritonforge.report import read_report
from tritonforge.report.options import BadOption
from tritonforge.report.places import Unwritable

from .sample_report import as_read, report


def test_files_are_written(perf_sweep: Callable[..., Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tritonforge.report.sweep.sweep", lambda scenario: report())
    file = tmp_path / "new" / "out.json"
    found = perf_sweep("m", json=file, csv=str(tmp_path / "out.csv"))
    assert read_report(file) == as_read(found)
    assert (tmp_path / "out.csv").read_text().startswith("Concurrency,")
    with pytest.raises(Unwritable, match=r"--json: .*out\.csv can't be written"):
        perf_sweep("m", json=tmp_path / "out.csv")


@pytest.mark.parametrize("option", ["baseline", "max_regression", "max_errors"])
def test_what_only_the_command_judges_by_is_refused(option: str, perf_sweep: Callable[..., Report]) -> None:
    with pytest.raises(BadOption, match=f"--{option.replace('_', '-')}: it judges nothing in a test"):
        perf_sweep("m", **{option: "5%"})


class Benchmark:
    """As much of pytest-benchmark's fixture as takes a benchmark's rounds."""

    enabled, name, fullname = True, "test", "test"

    def __init__(self) -> None:
        self.extra_info: dict[str, object] = {}
        self.rounds: list[float] = []

    def _make_stats(self, iterations: int) -> Benchmark:
        return self

    def update(self, seconds: float) -> None:
        self.rounds.append(seconds)


@pytest.mark.parametrize(
    "rates", [[100.0], [100, 100, 100], [50, 200, 80], [0, 100, 100], [100, 0, 0, 200], [100, 100, 0]], ids=str
)
def test_the_mean_of_a_benchmark_is_that_of_all_inferences(rates: list[float]) -> None:
    """A window in which nothing succeeded is in it, too."""
    made = report().points[0]
    windows = [
        replace(made.windows[0], throughput=rate, duration_s=2.0 - place / 8, measured=True)
        for place, rate in enumerate(rates)
    ]
    unmeasured = replace(windows[0], throughput=5.0, measured=False)
    benchmark = Benchmark()
    _store(benchmark, "load", replace(made, windows=(unmeasured, *windows)))
    assert len(benchmark.rounds) == len(rates)
    assert min(benchmark.rounds) > 0
    inferences, seconds = sum(w.throughput * w.duration_s for w in windows), sum(w.duration_s for w in windows)
    assert sum(benchmark.rounds) / len(rates) == pytest.approx(seconds / inferences)


def test_a_load_at_which_nothing_succeeded_is_no_benchmark() -> None:
    made = report().points[0]
    nothing = tuple(replace(window, throughput=0.0) for window in made.windows)
    benchmark = Benchmark()
    _store(benchmark, "load", replace(made, windows=nothing))
    assert benchmark.rounds == []
