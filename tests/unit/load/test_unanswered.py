"""What is made of requests that are under way at the end."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonforge.load import Load, ModelLoad, Point, Settings, parse_slo
from tritonforge.load.figures.histogram import Histogram
from tritonforge.load.figures.little import few_under_way, left_over
from tritonforge.load.figures.merge import make_point
from tritonforge.load.workers.job import Tally

MS = 1_000_000
LIMIT_MS = 10


def point(
    latencies_ms: Sequence[int],
    *,
    load: Load | None = None,
    slo: str = "p99=10ms",
    unanswered_ms: Sequence[int] = (),
    tallies: int = 1,
    failed_after: Mapping[str, int] | None = None,
    **more: object,
) -> Point:
    """Make the figures of requests that ended in windows of a second."""
    settings = Settings("http://127.0.0.1:1", (ModelLoad("m"),), slo=parse_slo(slo) if slo else ())
    each = [Histogram.of([value * MS for value in latencies_ms[place::tallies]]) for place in range(tallies)]
    windows = [Tally(index, 10**9, latency, latency, **more) for index, latency in enumerate(each)]  # type: ignore[arg-type]
    ages = [age * MS for age in unanswered_ms]
    after = failed_after or {}
    return make_point(
        load or Load("rate", 1), settings, windows, tallies, agreed=True, unanswered_ns=ages, failed_after=after
    )


@given(
    st.lists(st.integers(1, 20), min_size=1, max_size=60),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 9),
    st.sampled_from([50, 90, 99, 99.9, 100]),
)
def test_an_objective_is_judged_as_if_those_without_an_answer_had_taken_for_ever(
    latencies: list[int], failed: int, lost: int, overdue: int, percent: float
) -> None:
    """Which of them are overdue isn't known beyond their number: whichever are more."""
    found = point(
        latencies,
        slo=f"p{percent}={LIMIT_MS}ms",
        unanswered_ms=[1000] * lost,
        overdue={LIMIT_MS * MS: overdue},
        errors={"HTTP 500": failed} if failed else {},
    )
    ranked = sorted(latencies) + [10**9] * (failed + max(lost, overdue))
    exact = ranked[math.floor(percent / 100 * (len(ranked) - 1) + 0.5)]
    assert found.slo_met is (exact <= LIMIT_MS) or exact == LIMIT_MS  # which a bucket's middle may be beyond
    assert found.overdue == ({f"p{percent}": overdue} if overdue else {})
    assert (found.latency.count, found.failed, found.unanswered) == (len(latencies), failed, lost)


@given(st.lists(st.integers(1, 20), min_size=4, max_size=60), st.lists(st.integers(1, 20), max_size=9))
def test_what_may_be_slow_alone_changes_no_figure(latencies: list[int], ages: list[int]) -> None:
    """Those under way that are no older than the slowest success, and fewer past the bound than there were before."""
    slowest = max(latencies)
    ordinary = [min(age, slowest) for age in ages]
    found = point(latencies, unanswered_ms=ordinary, overdue={LIMIT_MS * MS: -len(ages)})
    assert found == point(latencies)
    assert (found.unanswered, found.unanswered_s, found.overdue) == (0, 0.0, {})


def test_windows_and_processes_add_up() -> None:
    found = point([1] * 100, tallies=2, overdue={LIMIT_MS * MS: 1})
    assert (found.overdue, found.slo_met) == ({"p99": 2}, False)


def test_a_mean_has_no_room_for_one_without_an_answer() -> None:
    assert point([1] * 1000, slo="mean=10ms").slo_met
    assert not point([1] * 1000, slo="mean=10ms", unanswered_ms=[100]).slo_met


@pytest.mark.parametrize(("lost", "silent"), [(1, False), (2, True)])
def test_a_closed_loop_in_which_nothing_is_answered_any_more_meets_nothing(lost: int, silent: bool) -> None:
    """However few they are: with two in flight, two are all that can be without an answer."""
    load = Load("concurrency", 2)
    found = point([1] * 1000, load=load, unanswered_ms=[2000, 3000][-lost:])
    assert (found.silent, found.slo_met, found.unanswered_s) == (silent, not silent, 3.0)
    assert found.slo_missed == (("p99",) if silent else ())
    assert point([1] * 1000, load=load, slo="", unanswered_ms=[2000, 3000]).slo_met is None
    assert not point([1] * 1000, unanswered_ms=[2000, 3000]).silent, "an open loop sends on"


@pytest.mark.parametrize(
    ("latencies", "concurrency", "more", "told"),
    [
        ([20] * 50, 1, {}, False),
        ([20] * 50, 2, {}, True),
        ([20] * 43, 1, {}, True),
        ([20] * 43, 1, {"errors": {"HTTP 500": 6}}, False),
        ([20] * 43, 1, {"checking_ns": 100 * MS}, False),  # the request whose answer is checked isn't under way
        ([400, 400], 1, {}, False),  # a third one is under way at the end
        ([], 1, {}, False),
    ],
)
def test_fewer_under_way_than_the_concurrency_are_told_where_nothing_explains_it(
    latencies: list[int], concurrency: int, more: dict[str, object], told: bool
) -> None:
    assert bool(few_under_way(point(latencies, load=Load("concurrency", concurrency), **more))) is told  # type: ignore[arg-type]
    assert not few_under_way(point(latencies, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("latencies", "load", "more", "told"),
    [
        ([20] * 50, Load("concurrency", 1), {}, ""),
        ([20] * 50 + [50], Load("concurrency", 1), {}, ""),
        ([20] * 40 + [500], Load("concurrency", 1), {}, "1.3 requests were under way on average.* and 1 can be"),
        ([1] * 100, Load("rate", 100), {}, ""),
        ([1] * 5, Load("rate", 3), {}, ""),  # of so few, chance
        ([1] * 150, Load("rate", 100), {}, "150 requests ended, and 100 were due"),
        ([1] * 100, Load("rate", 100), {"errors": {"HTTP 500": 50}}, "150 requests ended, and 100 were due"),
        ([1] * 150, Load("rate", 200), {}, ""),
    ],
)
def test_what_waited_since_before_the_windows_is_told(
    latencies: list[int], load: Load, more: dict[str, object], told: str
) -> None:
    """As where the server stalls in the warm-up: the answers to what waited come within the windows."""
    found = left_over(point(latencies, load=load, **more))  # type: ignore[arg-type]
    assert re.match(told, found) if told else found == ""


@pytest.mark.parametrize(
    ("errors", "after", "silent"),
    [
        ({"timeout": 2}, {"timeout": 2}, True),
        ({"timeout": 1}, {"timeout": 1}, False),
        ({"timeout": 3}, {"timeout": 2}, False),
        ({}, {}, False),
        ({"connection": 2}, {"connection": 2}, True),
        ({"connection": 3}, {"connection": 2}, False),
        ({"timeout": 1, "connection": 1}, {"timeout": 1, "connection": 1}, True),
        ({"timeout": 3, "connection": 2}, {"connection": 2}, True),
        ({"timeout": 2, "connection": 9}, {"timeout": 2}, True),
        ({"HTTP 500": 9, "connection": 2}, {"connection": 2}, True),
    ],
)
def test_failures_of_all_that_was_under_way_tell_that_the_server_stopped_answering(
    errors: dict[str, int], after: dict[str, int], silent: bool
) -> None:
    """Where others had failed alike before, it is slow, or closes connections; with one answered, it is there."""
    load = Load("concurrency", 2)
    found = point([1] * 1000, load=load, slo="p50=10ms", errors=errors, failed_after=after)
    assert (found.silent, found.slo_met, found.failed_after) == (silent, not silent, sum(after.values()))


@pytest.mark.parametrize(("answered", "silent"), [((1, 1, 0, 0), True), ((1, 1, 1, 0), False), ((0, 0, 0, 0), False)])
def test_a_server_that_is_silent_for_long_has_stopped_though_others_timed_out_before(
    answered: tuple[int, ...], silent: bool
) -> None:
    settings = Settings("http://127.0.0.1:1", (ModelLoad("m"),), slo=parse_slo("p99=10ms"))
    windows = []
    for index, count in enumerate(answered):
        latency = Histogram.of([MS] * (1000 * count))
        windows.append(Tally(index, 10**9, latency, latency, errors={"timeout": 1}))
    load = Load("concurrency", 2)
    found = make_point(load, settings, windows, 4, agreed=None, failed_after={"timeout": 2})
    assert (found.silent, bool(found.slo_met)) == (silent, not silent and any(answered))


def test_requests_that_fail_in_the_wait_at_the_end_count_once() -> None:
    """They were overdue at the windows' end, too: 180 of 252 are within the limit."""
    late = {"errors": {"timeout": 72}, "failed_after": {"timeout": 72}, "overdue": {100 * MS: 60}}
    assert point([1] * 180, slo="p71=100ms", **late).slo_met  # type: ignore[arg-type]
    assert not point([1] * 180, slo="p73=100ms", **late).slo_met  # type: ignore[arg-type]
