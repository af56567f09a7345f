"""When the generator says that it is what limits the figures, and when it has no reason to."""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile

import pytest

from tritonforge.load import Load, ModelLoad, Settings
from tritonforge.load.figures.histogram import Histogram
from tritonforge.load.figures.merge import coalesce, make_point, merge_tallies
from tritonforge.load.pacing.clock import waited_ns
from tritonforge.load.pacing.schedule import intended_times, schedule_of
from tritonforge.load.settings import Arrivals, Kind
from tritonforge.load.workers.job import Tally

MS = 1_000_000


def tally(
    *, cpu_ms: int = 100, waited_ms: int = 50, late_us: int = 20, held_back: int = 0, checking_ms: int = 20
) -> Tally:
    """A window of a second with 1000 requests of 2 ms."""
    latency, late = Histogram.of([2 * MS] * 1000), Histogram.of([late_us * 1000] * 1000)
    return Tally(
        0,
        1000 * MS,
        latency,
        latency,
        late,
        cpu_ns=cpu_ms * MS,
        waited_ns=waited_ms * MS,
        held_back=held_back,
        checking_ns=checking_ms * MS,
    )


def warnings(window: Tally, kind: Kind = "concurrency", value: float = 4, arrivals: Arrivals = "constant") -> str:
    settings = Settings("http://127.0.0.1:1", (ModelLoad("m"),), arrivals=arrivals)
    return " ".join(make_point(Load(kind, value), settings, [window], 1, agreed=True).generator.warnings)


@pytest.mark.parametrize(("kind", "value"), [("concurrency", 4), ("rate", 1000)])
def test_a_generator_with_time_to_spare_says_nothing(kind: Kind, value: float) -> None:
    assert warnings(tally(), kind, value) == ""


def test_a_busy_process_asks_for_another() -> None:
    assert "95% of a core" in warnings(tally(cpu_ms=950))
    assert "processes=2" in warnings(tally(cpu_ms=950))


def test_waiting_for_a_processor_is_told() -> None:
    assert "waited 40% of the time" in warnings(tally(waited_ms=400))
    assert warnings(tally(cpu_ms=500, waited_ms=400)) == ""


@pytest.mark.parametrize(("kind", "value"), [("concurrency", 1), ("rate", 1000)])
def test_the_time_of_checking_answers_is_told(kind: Kind, value: float) -> None:
    assert "checking answers took 45% of the generator's time" in warnings(tally(checking_ms=450), kind, value)
    halves = [[tally(checking_ms=100 * ms) for ms in pair] for pair in ((4, 2), (6, 7))]
    assert merge_tallies(halves[0]).checking_ns == 400 * MS
    (joined,) = coalesce([merge_tallies(half) for half in halves], 1)
    assert "checking answers took 55% of the generator's time" in warnings(joined, kind, value)


@pytest.mark.parametrize(
    ("window", "value", "words"),
    [
        (tally(late_us=900), 1000, "1 % of requests start 9"),
        (tally(held_back=1), 1000, "1 request was due while all of 256 (max_in_flight) were under way"),
        (tally(held_back=7000), 1000, "7,000 requests were due while all of 256 (max_in_flight) were under way"),
        (tally(held_back=7), 1000, "or without a connection: sent late, or not at all"),
        (tally(), 2000, "1,000 of the 2,000 requests that were due succeeded"),
    ],
)
def test_a_rate_that_is_not_kept_is_told(window: Tally, value: float, words: str) -> None:
    assert words in warnings(window, "rate", value)


def test_of_few_requests_none_is_one_in_a_hundred() -> None:
    latency, late = Histogram.of([2 * MS] * 6), Histogram.of([900_000] * 6)
    few = Tally(0, 1000 * MS, latency, latency, late)
    assert warnings(few, "rate", 6) == "of 6 requests, the latest starts 900 µs late, 45% of the longest latency"


@pytest.mark.parametrize(
    ("late_us", "latency_us", "words"),
    [
        ([2000] * 100, [100_000] * 100, ""),
        ([625_214], [700_000], "of 1 request, the latest starts 625 ms late, 89% of the longest latency"),
        (
            [1_250_000] * 100,
            [2_000_000] * 90 + [4_000_000] * 10,
            "half of the requests start 1.25 s late or more, 62% of the median",
        ),
        (
            [0] * 90 + [9000] * 10,
            [1000] * 90 + [10_000] * 10,
            "1 % of requests start ",
        ),
        ([0] * 90 + [90] * 10, [100] * 100, ""),
    ],
    ids=["negligible", "few", "half", "tail", "short"],
)
def test_late_starts_are_held_against_the_latency(late_us: list[int], latency_us: list[int], words: str) -> None:
    latency, late = (Histogram.of([each * 1000 for each in times]) for times in (latency_us, late_us))
    found = warnings(Tally(0, 1000 * MS, latency, latency, late), "rate", latency.count)
    assert found.startswith(words) if words else not found


@pytest.mark.parametrize(
    ("more", "cause"),
    [
        ({"waited_ms": 40}, "; the generator waited 40 ms for a processor in that time"),
        ({"waited_ms": 0, "checking_ms": 30}, "; the generator checked answers for 30 ms in that time"),
        ({"waited_ms": 0, "checking_ms": 0, "cpu_ms": 700}, "; the generator's process was busy for 70% of the time"),
        ({"waited_ms": 0, "checking_ms": 0}, ""),
    ],
)
def test_why_requests_start_late_is_told_as_far_as_it_is_known(more: dict[str, int], cause: str) -> None:
    assert warnings(tally(late_us=900, **more), "rate", 1000).endswith(f"of the p99 latency{cause}")


def test_of_several_processes_the_busiest_counts() -> None:
    merged = merge_tallies([tally(cpu_ms=100, waited_ms=300), tally(cpu_ms=200, waited_ms=10)])
    assert (merged.cpu_ns, merged.waited_ns) == (200 * MS, 300 * MS)


def test_the_kernel_counts_waiting() -> None:
    first = waited_ns()
    assert 0 <= first <= waited_ns()


def test_a_process_waits_no_longer_than_there_is_time() -> None:
    assert "waited 90% of the time" in warnings(tally(waited_ms=1950))


def short(count: int, load: Load, duration_ms: int, latency_ms: int = 2, **settings: object) -> bool:
    """Tell whether it is said that so many successes are fewer than were due."""
    chosen = Settings("http://127.0.0.1:1", (ModelLoad("m"),), warmup_s=0.0)
    latency = Histogram.of([latency_ms * MS] * count)
    windows = [Tally(0, duration_ms * MS, latency, latency)]
    point = make_point(load, replace(chosen, **settings), windows, 1, agreed=True)  # type: ignore[arg-type]
    told = any("that were due succeeded" in each for each in point.generator.warnings)
    assert told is (point.short_of > 0)
    return told


@pytest.mark.parametrize(("rate", "requests", "lasted_ms"), [(50, 300, 6190), (1e9, 10, 5)])
def test_the_wait_for_the_last_answer_is_no_want_of_requests(rate: float, requests: int, lasted_ms: int) -> None:
    assert not short(requests, Load("rate", rate), lasted_ms, requests=requests)
    assert short(requests * 9 // 10, Load("rate", rate), lasted_ms, requests=requests)


@pytest.mark.parametrize(("lasted_ms", "told"), [(6000, False), (6100, False), (6190, True), (12000, True)])
def test_a_number_of_requests_after_a_warm_up_took_as_long_as_the_rate_says(lasted_ms: int, told: bool) -> None:
    """More are due until so many have ended: a server that keeps up takes no longer."""
    assert short(300, Load("rate", 50), lasted_ms, requests=300, warmup_s=1.0) is told


def test_what_is_under_way_at_the_end_of_windows_that_begin_with_the_load_is_none_either() -> None:
    """As many as a server has that keeps up; one with half of the rate has more."""
    load = Load("rate", 20)
    assert not short(16, load, 1000, 200)
    assert short(16, load, 1000, 200, warmup_s=1.0)
    assert short(10, load, 1000, 250)


@pytest.mark.parametrize("arrivals", ["poisson", "gamma"])
def test_arrivals_that_are_drawn_are_held_against_what_was_due(arrivals: Arrivals) -> None:
    """Of a short window, chance alone has far fewer due than the rate says: that is not the server's doing."""
    load, second = Load("rate", 100), 1000 * MS
    settings = Settings("http://127.0.0.1:1", (ModelLoad("m"),), (load,), arrivals=arrivals, warmup_s=0.0)
    for seed in range(20):
        drawn = replace(settings, seed=seed)
        times = list(takewhile(lambda time: time < second, intended_times(schedule_of(load, drawn))))
        latency = Histogram.of([2 * MS] * len(times))
        point = make_point(load, drawn, [Tally(0, second, latency, latency)], 1, agreed=True)
        assert point.generator.due_rate == len(times)
        assert not point.generator.warnings
    half = Histogram.of([2 * MS] * (len(times) // 2))
    point = make_point(load, drawn, [Tally(0, second, half, half)], 1, agreed=True)
    assert f"of the {len(times)} requests that were due succeeded" in point.generator.warnings[0]
    assert point.short_of == len(times)


def test_what_nothing_ended_in_is_not_stable() -> None:
    settings = Settings("http://127.0.0.1:1", (ModelLoad("m"),))
    nothing = [Tally(index, 1000 * MS) for index in range(3)]
    assert not make_point(Load("concurrency", 1), settings, nothing, 3, agreed=True).stable
