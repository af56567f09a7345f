"""How long a measurement lasts, and in how many windows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tritonforge.load import Load, ModelLoad, Settings
from tritonforge.load.figures.histogram import Histogram
from tritonforge.load.observed.readings import Reading
from tritonforge.load.pacing.clock import NS
from tritonforge.load.run import Run
from tritonforge.load.workers.job import Tally

SETTINGS = Settings("http://127.0.0.1:1", (ModelLoad("m"),))
ONE = Load("concurrency", 1)


def lengths(settings: Settings, windows: int | None = None) -> tuple[int, float]:
    run = Run(ONE, settings, windows)
    return run.limit, run.window_ns / 1e9


@pytest.mark.parametrize(
    ("duration_s", "windows", "window_s"), [(2.0, 10, 0.2), (0.1, 2, 0.05), (0.01, 1, 0.01), (60.0, 12, 5.0)]
)
def test_a_duration_has_windows_enough_for_an_interval(duration_s: float, windows: int, window_s: float) -> None:
    limit, found = lengths(replace(SETTINGS, duration_s=duration_s))
    assert (limit, found) == (windows, pytest.approx(window_s, rel=1e-6))


def test_windows_are_as_they_are_set_else_of_five_seconds() -> None:
    assert lengths(SETTINGS) == (10, 5.0)
    assert lengths(replace(SETTINGS, window_s=0.5, duration_s=2.0)) == (4, 0.5)
    assert lengths(replace(SETTINGS, window_s=0.5, duration_s=2.0), windows=3) == (3, 0.5)


def run_of(settings: Settings, counts: list[int], latency_ns: list[int] | None = None) -> Run:
    """Measure windows in which so many requests ended, after so long each."""
    run = Run(ONE, settings, None)
    run.begin(0)
    for index, count in enumerate(counts):
        ended = Histogram.of([latency_ns[index] if latency_ns else 9] * count)
        run.tallies[index] = [Tally(index, run.window_ns, ended)]
        run.close(index)
    run.end()
    return run


@pytest.mark.parametrize(
    ("settings", "agreed"),
    [
        (replace(SETTINGS, duration_s=2.0), None),
        (replace(SETTINGS, duration_s=2.0, window_s=0.2), True),
        (replace(SETTINGS, duration_s=60.0), True),
        (SETTINGS, True),
    ],
)
def test_windows_that_were_made_short_are_not_held_against_each_other(settings: Settings, agreed: bool | None) -> None:
    assert run_of(settings, [100] * 10).agreed is agreed


def test_a_duration_is_stable_where_all_that_its_figures_are_made_of_agrees() -> None:
    """Not its last windows alone: a server that slowed down in the middle is none that was measured."""
    settings = replace(SETTINGS, duration_s=9.0, window_s=1.0)
    assert run_of(settings, [100] * 9).agreed
    assert run_of(settings, [100] * 4 + [25] * 5).agreed is False
    assert run_of(settings, [100, 80, 120] * 3).agreed, "a part is as long as three windows"
    assert run_of(settings, [100] * 9, [10] * 5 + [20] * 4).agreed is False
    assert run_of(replace(settings, duration_s=2.0), [100, 25]).agreed is None


def test_what_is_not_judged_says_where_its_parts_are_far_apart() -> None:
    settings = replace(SETTINGS, duration_s=9.0)
    assert run_of(settings, [90] * 9).drift() == ""
    assert run_of(settings, [90] * 6 + [30] * 3).drift() == (
        "not alike throughout: 100, 100 and 33.3 requests/s, one part after the other"
    )
    assert run_of(settings, [30] * 6 + [10] * 3).drift()
    assert run_of(settings, [2] * 6 + [1] * 3).drift() == "", "by chance, maybe"
    assert run_of(settings, [90] * 9, [10**6] * 6 + [2 * 10**6] * 3).drift() == (
        "not alike throughout: mean latencies of 1, 1 and 2 ms, one part after the other"
    )
    assert run_of(settings, [90] * 3 + [0] * 6).drift() == (
        "not alike throughout: 100, 0 and 0 requests/s, one part after the other"
    )
    assert run_of(settings, [2, 0, 1]).drift() == "", "by chance, maybe"
    assert run_of(replace(settings, duration_s=2.0), [90, 30]).drift(), "two windows are a part each"
    assert run_of(replace(settings, window_s=1.0), [90] * 6 + [30] * 3).drift() == "", "it is unstable"
    assert run_of(replace(settings, stable_windows=1), [90] * 6 + [30] * 3).drift() == "", "of one part"


@pytest.mark.parametrize(
    ("tally", "troubled"),
    [
        (Tally(0, latency=Histogram.of([1])), False),
        (Tally(0, latency=Histogram.of([1]), errors={"connection": 1}), True),
        (Tally(0, latency=Histogram.of([1]), held_back=1), True),
        (Tally(0), True),
    ],
)
def test_a_window_with_failures_or_without_answers_is_troubled(tally: Tally, troubled: bool) -> None:
    run = Run(ONE, SETTINGS, None)
    run.tallies[0] = [tally]
    assert run.troubled(0) is troubled


@pytest.mark.parametrize(("options", "late_ms"), [({"duration_s": 0.4}, 3 + 60), ({}, 5 + 60)])
def test_how_late_the_servers_figures_were_read_is_known(options: dict[str, float], late_ms: int) -> None:
    run = Run(ONE, replace(SETTINGS, window_s=0.1, warmup_s=0.0, stable_windows=2, **options), None)
    run.begin(0)
    for index, late in enumerate((3, 40, 5, 50, 60)):
        run.note(Reading({}, None, (index * 100 + late) * 1_000_000))
        if index:
            run.windows.append(Tally(index - 1, 100_000_000))
    assert run.late_ns(4 if options else 2) == late_ms * 1_000_000


def test_the_edges_span_the_time_of_which_the_rate_is_made() -> None:
    """That of a number of requests begins with the first one's start, in the warm-up."""
    run = Run(ONE, replace(SETTINGS, requests=6, warmup_s=1.0), None)
    run.begin(0)
    run.tallies[0] = [Tally(0, 700, lead_ns=200)]
    run.close(0)
    assert run.boundaries_ns == [run.windows_ns - 200, run.windows_ns + 500]
    run.note(Reading({}, None, run.windows_ns + 3))
    run.note(Reading({}, None, run.windows_ns + 504))
    assert run.late_ns(1) == 7, "the server's figures are of the windows themselves"


@pytest.mark.parametrize("repeat_s", [0.0, 20.0])
def test_given_times_are_measured_from_the_first_on(repeat_s: float) -> None:
    given = replace(SETTINGS, times_s=(5.0, 5.1, 7.0), repeat_s=repeat_s)
    run = Run(Load("schedule", 10), given, None)
    run.begin(NS)
    assert run.windows_ns == 6 * NS
    assert run.window_ns == pytest.approx((0.21 if not repeat_s else 5) * NS)


@pytest.mark.parametrize(
    ("last", "requests", "windows"),
    [
        (Tally(3, NS // 3, Histogram.of([9])), 1, 3),
        (Tally(3, 1), 0, 3),
        (Tally(3, NS * 2 // 3, Histogram.of([9])), 1, 4),
    ],
)
def test_a_last_window_that_is_a_sliver_is_part_of_the_one_before(last: Tally, requests: int, windows: int) -> None:
    """By itself it would be held against the others, which it is not like."""
    run = Run(ONE, replace(SETTINGS, requests=31, window_s=1.0), None)
    run.begin(0)
    for index in range(3):
        run.tallies[index] = [Tally(index, NS, Histogram.of([9] * 10), cpu_ns=NS // 2)]
        run.close(index)
    run.tallies[3] = [last]
    run.end()
    assert len(run.windows) == windows
    assert sum(tally.duration_ns for tally in run.windows) == 3 * NS + last.duration_ns
    assert sum(tally.latency.count for tally in run.windows) == 30 + requests
    assert run.agreed is (not requests)
