"""Metrics in eager calls: they count in this process."""

from __future__ import annotations

from tritonforge import metrics


def test_each_kind_counts_by_its_labels() -> None:
    calls, load = metrics.counter("t_calls", "Calls."), metrics.gauge("t_load", "Load.")
    rows = metrics.histogram("t_rows", "Rows.", buckets=[1, 2])

    calls.inc()
    calls.inc(2.5, kind="a", place="b")
    load.set(5)
    load.inc(2)
    load.dec()
    rows.observe(3)
    rows.observe(1)

    assert (calls.value(), calls.value(place="b", kind="a"), calls.value(kind="a")) == (1, 2.5, 0)
    assert load.value() == 6
    assert rows.value() == 2


def test_a_metric_is_made_once() -> None:
    assert metrics.counter("t_once", "") is metrics.counter("t_once", "")
