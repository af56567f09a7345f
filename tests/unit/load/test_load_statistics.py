"""Differences of the server's statistics, objectives, and where the time goes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonforge.load import Load, ModelLoad, Settings, Slo
from tritonforge.load.figures.breakdown import break_down, send_overlaps
from tritonforge.load.figures.estimates import summarize
from tritonforge.load.figures.histogram import Histogram
from tritonforge.load.figures.merge import make_point
from tritonforge.load.figures.objectives import good_limit_us, missed
from tritonforge.load.observed.statistics import apart, difference, meanwhile, mostly_others, read_counters
from tritonforge.load.pacing.clock import NS
from tritonforge.load.results import Window
from tritonforge.load.workers.job import Tally


def entry(
    count: int, *, queue_ns: int = 0, infer_ns: int = 0, total_ns: int = 0, executions: int = 0
) -> dict[str, Any]:
    times = {"queue": queue_ns, "compute_infer": infer_ns, "success": total_ns}
    return {
        "name": "m",
        "version": "1",
        "inference_count": count,
        "execution_count": executions,
        "inference_stats": {name: {"count": count, "ns": ns} for name, ns in times.items()},
        "batch_stats": [{"batch_size": 2, "compute_infer": {"count": executions}}],
    }


def test_times_are_what_was_gained_by_the_requests_gained() -> None:
    before = read_counters({"model_stats": [entry(10, queue_ns=10_000, total_ns=90_000, executions=5)]})
    raw = entry(30, queue_ns=70_000, infer_ns=40_000, total_ns=250_000, executions=15)
    after = read_counters({"model_stats": [raw, {**raw, "name": "other"}]})
    (found,) = difference(before, after, {"m": False})
    assert (found.requests, found.executions, found.mean_batch, found.batches) == (20, 10, 2.0, {2: 10})
    assert (found.queue_us, found.compute_infer_us, found.request_us, found.overhead_us) == (3.0, 2.0, 8.0, 3.0)


def test_a_reloaded_models_counters_begin_anew() -> None:
    before = read_counters({"model_stats": [entry(100, total_ns=900_000)]})
    after = read_counters({"model_stats": [entry(4, total_ns=8_000)]})
    (found,) = difference(before, after, {"m": False})
    assert (found.requests, found.request_us) == (4, 2.0)


def test_an_idle_model_is_left_out() -> None:
    counters = read_counters({"model_stats": [entry(3)]})
    assert difference(counters, counters, {"m": False}) == ()


def test_the_parts_add_up_to_the_mean_latency() -> None:
    raw = entry(10, queue_ns=10_000, infer_ns=30_000, total_ns=50_000, executions=5)
    server = difference({}, read_counters({"model_stats": [raw]}), {"m": False})
    corrected, sent = summarize([Histogram.of([12_000] * 10)]), summarize([Histogram.of([9_000] * 10)])
    steps = {step.name: step.mean_us for step in break_down(corrected, sent, server)}
    assert steps["client queue"] == pytest.approx(3)
    assert steps["network + server send/receive"] == pytest.approx(4)
    assert steps["queue"] == pytest.approx(1)
    assert sum(steps.values()) == pytest.approx(12)


@pytest.mark.parametrize(
    ("counted", "failed", "told"),
    [(5480, 0, False), (5770, 0, False), (5780, 0, True), (8708, 0, True), (3463, 0, True), (6000, 300, False)],
)
def test_a_server_that_counted_other_requests_is_told(counted: int, failed: int, told: bool) -> None:
    """Of 4 in flight: those at two edges, a twentieth for the time of a reading, and a few."""
    server = difference({}, read_counters({"model_stats": [entry(counted)]}), {"m": False})
    assert ("the server counted" in apart(server, 5480, failed, 4)) is told
    assert not apart((), 100, 0, 4)


@pytest.mark.parametrize(
    ("counted", "late", "told"), [(6200, 500, ""), (8708, 3300, "were read late"), (8708, 500, "lag")]
)
def test_statistics_that_came_late_are_told_where_that_is_much(counted: int, late: float, told: str) -> None:
    """So many requests had ended meanwhile."""
    server = difference({}, read_counters({"model_stats": [entry(counted)]}), {"m": False})
    said = apart(server, 5480, 0, 4, late)
    assert told in said
    assert bool(said) is bool(told)


@pytest.mark.parametrize(("counted", "others"), [(1, False), (2772, False), (2778, True), (9604, True)])
def test_of_a_server_that_counted_twice_the_requests_most_are_of_others(counted: int, others: bool) -> None:
    """Of 1,245 and 5 that failed: twice those, those of 100 at two edges, a twentieth, and ten."""
    server = difference({}, read_counters({"model_stats": [entry(counted)]}), {"m": False})
    assert mostly_others(server, 1245, 5, 100) is others
    said = apart(server, 1245, 5, 100, 9000)
    assert ("left out of where the mean latency goes" in said) is others
    assert not mostly_others(difference({}, read_counters({"model_stats": [entry(counted)]}), {"m": True}), 0, 0, 0)


def test_a_backend_may_count_each_response_of_a_stream() -> None:
    server = difference({}, read_counters({"model_stats": [entry(133)]}), {"m": False})
    assert "its backend counts each response of a stream" in apart(server, 81, 0, 4, streams=True)
    assert "response" not in apart(server, 81, 0, 4)


def test_in_a_lag_as_many_may_have_ended_as_in_the_fastest_window() -> None:
    """The mean of the windows would explain 400 of them."""
    figures = dict.fromkeys(("throughput", "mean_us", "p50_us", "p90_us", "p95_us", "p99_us", "p999_us"), 1.0)
    windows = [
        Window(place / 2, 0.5, count, count, 0, measured=place > 0, **figures)
        for place, count in enumerate((900, 50, 150, 100))
    ]
    assert meanwhile(windows, 2 * NS) == 600
    assert meanwhile([], NS) == 0
    server = difference({}, read_counters({"model_stats": [entry(850)]}), {"m": False})
    assert "were read late" in apart(server, 300, 0, 4, meanwhile(windows, 2 * NS))
    assert "its statistics lag" in apart(server, 300, 0, 4, 400)


@pytest.mark.parametrize("client_us", [(None, None), (1.0, None), (1.0, 2.0)])
def test_times_of_the_client_that_nobody_took_are_no_step(client_us: tuple[float | None, float | None]) -> None:
    latency = summarize([Histogram.of([9_000] * 3)])
    steps = {step.name: step.mean_us for step in break_down(latency, latency, (), client_us=client_us)}
    assert [steps.get(name) for name in ("client send", "client receive")] == [*client_us]
    assert sum(steps.values()) == pytest.approx(9)


@pytest.mark.parametrize(("send", "told", "network"), [(3.0, 3.0, 1.5), (5.0, 4.5, 0.0), (8.0, 4.5, 0.0)])
def test_a_send_that_overlaps_the_servers_time_has_what_that_leaves(send: float, told: float, network: float) -> None:
    """The sender lost its processor to the server within the call: of the mean of 9 µs, 4 are the server's."""
    raw = entry(10, infer_ns=30_000, total_ns=40_000, executions=10)
    server = difference({}, read_counters({"model_stats": [raw]}), {"m": False})
    latency = summarize([Histogram.of([9_000] * 10)])
    breakdown = break_down(latency, latency, server, client_us=(send, 0.5))
    steps = {step.name: step.mean_us for step in breakdown}
    assert steps["client send"] == pytest.approx(told)
    assert steps["network + server send/receive"] == pytest.approx(network)
    assert sum(steps.values()) == pytest.approx(9)
    window = Tally(0, NS, Histogram.of([9_000] * 10), Histogram.of([9_000] * 10), Histogram.of([0] * 10))
    settings = Settings("http://127.0.0.1:1", (ModelLoad("m"),))
    point = make_point(Load("concurrency", 1), settings, [window], 1, agreed=True)
    assert send_overlaps(replace(point, breakdown=breakdown, client_send_us=send)) is (send > told)
    assert not send_overlaps(point)


def test_a_server_that_says_more_than_the_client_saw_is_not_broken_down() -> None:
    """At the windows' edges a slow request may be counted by the server alone."""
    server = difference({}, read_counters({"model_stats": [entry(3, infer_ns=90_000, total_ns=90_000)]}), {"m": False})
    latency = summarize([Histogram.of([9_000] * 3)])
    assert break_down(latency, latency, server) == ()
    assert break_down(latency, latency, (), client_us=(1.0, 9.0)) == ()


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=60), st.integers(0, 20), st.integers(1, 100))
def test_failures_rank_past_every_success(times_us: list[int], failed: int, percent: int) -> None:
    latency = summarize([Histogram.of([time * 1000 for time in times_us])])
    ranked = sorted([float(time) for time in times_us] + [float("inf")] * failed)
    exact = ranked[int(percent / 100 * (len(ranked) - 1) + 0.5)]
    if exact == float("inf"):
        assert missed([Slo(f"p{percent}", 1e12)], latency, failed)
    else:
        assert not missed([Slo(f"p{percent}", exact * 1.003)], latency, failed)
        assert missed([Slo(f"p{percent}", exact * 0.997)], latency, failed)


def test_goodput_is_by_the_highest_percentile() -> None:
    assert good_limit_us([Slo("p50", 1.0), Slo("p99", 5.0), Slo("mean", 9.0)]) == 5.0
    assert good_limit_us([Slo("p99", 5.0), Slo("max", 7.0)]) == 7.0
    assert good_limit_us([Slo("mean", 9.0)]) == 0.0


def test_the_objectives_that_are_missed_are_named() -> None:
    latency = summarize([Histogram.of([21_000_000] * 3)])
    objectives = [Slo("p99", 60_000.0), Slo("mean", 1000.0)]
    assert missed(objectives, latency, 0) == ("mean",)
    assert missed(objectives, latency, 3) == ("p99", "mean")
    assert missed(objectives, summarize([]), 0) == ("p99", "mean")
