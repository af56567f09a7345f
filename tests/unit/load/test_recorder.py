"""What ends in which window, against counting by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonforge.load.figures.histogram import Histogram
from tritonforge.load.figures.merge import coalesce, merge_tallies
from tritonforge.load.figures.recorder import Recorder
from tritonforge.load.links.lane import Lane
from tritonforge.load.workers.job import Tally

REQUESTS = st.lists(st.tuples(st.integers(0, 9_999), st.integers(0, 50), st.integers(0, 500)), max_size=60)


def sent(intended: int, started: int) -> Lane:
    """Make a request under way."""
    lane = Lane()
    lane.intended, lane.started = intended, started
    return lane


@given(REQUESTS)
def test_a_request_counts_in_the_window_in_which_it_ends(requests: list[tuple[int, int, int]]) -> None:
    tallies: list[Tally] = []
    recorder = Recorder(1000, tallies.append)
    recorder.begin(1000)
    done = sorted((intended + late + took, intended + late, intended) for intended, late, took in requests)
    for end, started, intended in done:
        if end >= recorder.edge:
            recorder.roll(end)
        recorder.add(sent(intended, started), end)
    recorder.roll(20_000)
    assert [tally.index for tally in tallies] == list(range(19))
    for tally in tallies:
        low = 1000 + tally.index * 1000
        mine = [item for item in done if low <= item[0] < low + 1000]
        assert tally.duration_ns == 1000
        assert tally.latency == Histogram.of([end - intended for end, _, intended in mine])
        assert tally.uncorrected == Histogram.of([end - started for end, started, _ in mine])
        assert tally.late == Histogram.of([started - intended for _, started, intended in mine])


def test_the_last_window_ends_where_the_last_request_does() -> None:
    tallies: list[Tally] = []
    recorder = Recorder(1000, tallies.append)
    recorder.begin(0)
    recorder.roll(0)
    recorder.add(sent(100, 100), 300)
    recorder.finish(1250)
    assert [(tally.index, tally.duration_ns, tally.latency.count) for tally in tallies] == [(0, 1000, 1), (1, 250, 0)]


@pytest.mark.parametrize(("until", "durations"), [(2000, [1000, 1000]), (2001, [1000, 1000, 1]), (0, [1000, 250])])
def test_time_goes_on_in_which_nothing_ends_any_more(until: int, durations: list[int]) -> None:
    """What is under way at the end has its age of then: whether it takes longer isn't known."""
    tallies: list[Tally] = []
    recorder = Recorder(1000, tallies.append, bounds_ns=(300,))
    recorder.begin(0)
    recorder.under_way = lambda: [900, 1000]
    recorder.roll(1250)
    recorder.add(sent(1200, 1200), 1250)
    recorder.finish(1250, until)
    assert [tally.duration_ns for tally in tallies] == durations
    assert [tally.latency.count for tally in tallies] == [0, 1, 0][: len(tallies)]
    assert sum(tally.overdue[300] for tally in tallies) == 1


def test_what_is_past_a_bound_at_a_windows_edge_is_told_by_how_much_it_grew() -> None:
    tallies: list[Tally] = []
    recorder = Recorder(1000, tallies.append, bounds_ns=(100, 500))
    recorder.begin(1000)
    starts = [200, 600]
    recorder.under_way = lambda: starts
    recorder.roll(1000)  # 800 and 400 old
    starts[:] = [600, 1600, 1900, 1901]
    recorder.roll(2000)  # 1400, 400, 100 and 99 old
    starts.clear()
    recorder.finish(2500)
    assert [tally.overdue for tally in tallies] == [{100: 0, 500: 0}, {100: -2, 500: -1}]


def test_errors_are_kept_by_kind_and_their_kinds_bounded() -> None:
    tallies: list[Tally] = []
    recorder = Recorder(1000, tallies.append)
    recorder.begin(0)
    recorder.roll(0)
    for number in range(100):
        recorder.add_error(f"HTTP {number}: no")
        recorder.add_error("HTTP 1: again")
    recorder.finish(10)
    errors = tallies[0].errors
    assert sum(errors.values()) == 200
    assert errors["HTTP 1"] == 101
    assert len(errors) <= 21
    assert tallies[0].examples["HTTP 1"] == "again"


@given(st.lists(st.lists(st.integers(1, 10**9), max_size=20), min_size=1, max_size=9))
def test_joined_windows_keep_every_request_and_all_of_the_time(windows: list[list[int]]) -> None:
    tallies = [Tally(index, 1000, Histogram.of(window)) for index, window in enumerate(windows)]
    joined = coalesce(tallies, 4)
    assert len(joined) <= max(4, -(-len(windows) // 2))
    assert sum(tally.duration_ns for tally in joined) == 1000 * len(windows)
    assert merge_tallies(joined).latency.counts == Histogram.of([v for window in windows for v in window]).counts


@pytest.mark.parametrize("failed", [(), (0,), (2,), (3,)])
@pytest.mark.parametrize("first_start", [700, 1000, 1300])
def test_so_many_requests_are_timed_from_the_first_start_to_the_last_end(
    first_start: int, failed: tuple[int, ...]
) -> None:
    """One after another without a pause, before or after the nominal start of the windows: one is in flight."""
    tallies: list[Tally] = []
    recorder = Recorder(10_000, tallies.append, from_first=True)
    recorder.begin(1000)
    recorder.roll(1000)
    for number, start in enumerate(range(first_start, first_start + 4 * 400, 400)):
        if number in failed:
            recorder.add_error("HTTP 500: no", start)
        else:
            recorder.add(sent(start, start), start + 400)
    recorder.finish(first_start + 4 * 400)
    (tally,) = tallies
    assert (tally.duration_ns, tally.lead_ns) == (1600, 1000 - first_start)
    assert (tally.latency.count + len(failed)) * tally.latency.mean / tally.duration_ns == 1


def test_processes_are_timed_together_from_the_first_start_to_the_last_end() -> None:
    first, second = Tally(0, 500, lead_ns=300), Tally(0, 600, lead_ns=-100)
    merged = merge_tallies([first, second])
    assert (merged.lead_ns, merged.duration_ns) == (300, 1000)


def test_what_is_received_counts_in_the_window_in_which_it_ends() -> None:
    tallies: list[Tally] = []
    recorder = Recorder(1000, tallies.append)
    recorder.begin(1000)
    for first, now in ((900, 950), (980, 1100), (1900, 2300)):
        recorder.add_receive(first, now)
    recorder.roll(3000)
    assert [(tally.received, tally.receiving_ns) for tally in tallies] == [(1, 120), (1, 400)]
