"""Metrics of the user's own inside Triton."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import stub_utils
from stub_utils import MetricFamily, tensor
from tritonforge_runtime import instance, metrics


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Be an instance of `fraud`; give the server's series by name and labels."""
    monkeypatch.setattr(instance, "_current", [])
    monkeypatch.setattr(metrics, "_known", {})
    monkeypatch.setattr(MetricFamily, "all", {})
    monkeypatch.setattr(MetricFamily, "kinds", {})
    instance.set_current(stub_utils.arguments([tensor("x", "FP32", [1])], [tensor("y", "FP32", [1])]))

    def series(name: str, **labels: str) -> Any:
        own = {"model": "fraud", "version": "1", **labels}
        return MetricFamily.all[f"tritonforge_{name}", json.dumps(own, sort_keys=True)]

    return series


def test_counters_and_gauges_reach_the_server(served: Callable[..., Any]) -> None:
    calls, load = metrics.counter("calls", "Calls."), metrics.gauge("load", "Load.")

    calls.inc()
    calls.inc(2, kind="a")
    calls.inc(3, kind="a")
    load.set(5)
    load.dec(2)

    assert (served("calls").value(), served("calls", kind="a").value()) == (1, 5)
    assert served("load").value() == load.value() == 3


def test_a_histogram_is_the_servers_own(served: Callable[..., Any]) -> None:
    metrics.histogram("rows", "Rows.", buckets=[1, 2]).observe(1.5, kind="a")

    assert served("rows", kind="a").observed == [1.5]
    assert served("rows", kind="a").buckets == [1.0, 2.0]


def test_where_the_server_has_none_a_histogram_is_made_of_counters(
    served: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(MetricFamily, "HISTOGRAM")
    rows = metrics.histogram("rows", "Rows.", buckets=[1, 2.5])

    for value in (1, 2, 7, -1):
        rows.observe(value)

    counts = [served("rows_bucket", le=bound).value() for bound in ("1", "2.5", "+Inf")]
    assert counts == [2, 3, 4]
    assert (served("rows_sum").value(), served("rows_count").value()) == (9, 4)


def test_outside_triton_they_count_here_alone(served: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instance, "_current", [])
    calls = metrics.counter("alone", "Calls.")

    calls.inc()

    assert calls.value() == 1
    assert not MetricFamily.all


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: metrics.counter("with space", ""), "can't be named 'with space'"),
        (lambda: metrics.counter("t_negative", "").inc(-1), "-1 is negative; a gauge may shrink"),
        (lambda: metrics.counter("t_own", "").inc(model="x"), "labels model are the server's own"),
        (lambda: metrics.histogram("t_order", "", buckets=[2, 1]), "buckets are [2, 1]; wanted upper bounds in asc"),
        (lambda: metrics.histogram("t_none", "", buckets=[]), "buckets are []"),
        (lambda: (metrics.gauge("t_twice", ""), metrics.counter("t_twice", "")), "metric t_twice is a gauge already"),
    ],
)
def test_what_no_metric_can_be_is_refused(call: Callable[[], object], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        call()


def test_a_metric_is_made_once() -> None:
    assert metrics.counter("t_once", "") is metrics.counter("t_once", "")
