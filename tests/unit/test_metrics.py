"""Metrics in eager calls: they count in this process."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

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
