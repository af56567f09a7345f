"""Metrics of the user's own inside Triton."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import stub_utils
from stub_utils import MetricFamily, tensor
from tritonforge_runtime import instance, metrics

from tritonforge import metrics as eager


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


REFUSED: list[tuple[Callable[[Any], object], str]] = [
    (lambda m: m.counter("with space", ""), "can't be named 'with space'"),
    (lambda m: m.counter(5, ""), "a metric can't be named 5"),
    (lambda m: m.counter("t_help", None), "metric t_help: its help is None; wanted a str"),
    (lambda m: m.counter("t_half", "\ud800"), "its help is '\\ud800'; wanted a str that is UTF-8"),
    (lambda m: m.counter("t_negative", "").inc(-1), "-1 is negative; a gauge may shrink"),
    (lambda m: m.counter("t_text", "").inc("3"), "counter t_text: the amount is '3'; wanted a finite number"),
    (lambda m: m.counter("t_nan", "").inc(float("nan")), "the amount is nan; wanted a finite number"),
    (lambda m: m.gauge("t_set", "").set("x"), "gauge t_set: the value is 'x'; wanted a finite number"),
    (lambda m: m.gauge("t_inc", "").inc(None), "gauge t_inc: the amount is None"),
    (lambda m: m.gauge("t_dec", "").dec(b"1"), "gauge t_dec: the amount is b'1'"),
    (lambda m: m.gauge("t_huge", "").set(10**400), "wanted a finite number"),
    (lambda m: m.histogram("t_seen", "", buckets=[1]).observe([2]), "histogram t_seen: a value is [2]"),
    (lambda m: m.counter("t_own", "").inc(model="x"), "labels model are the server's own"),
    (lambda m: m.counter("t_dash", "").inc(**{"bad-label": "v"}), "a label can't be named 'bad-label'"),
    (lambda m: m.counter("t_under", "").inc(__v="v"), "a label can't be named '__v'"),
    (lambda m: m.counter("t_none", "").inc(reason=None), "label reason is None; wanted a str, a number or a bool"),
    (lambda m: m.counter("t_surrogate", "").inc(v="\udc80"), "label v is '\\udc80'; wanted a str that is UTF-8"),
    (lambda m: m.counter("t_value", "").value(reason=b"x"), "label reason is b'x'"),
    (lambda m: m.histogram("t_order", "", buckets=[2, 1]), "buckets are [2.0, 1.0]; wanted upper bounds in asc"),
    (lambda m: m.histogram("t_empty", "", buckets=[]), "buckets are []"),
    (lambda m: m.histogram("t_gap", "", buckets=[1, float("nan")]), "a bucket is nan; wanted a finite number"),
    (lambda m: m.histogram("t_last", "", buckets=[1, float("inf")]), "a bucket is inf; wanted a finite number"),
    (lambda m: (m.gauge("t_twice", ""), m.counter("t_twice", "")), "metric t_twice is a gauge already"),
]


@pytest.mark.parametrize("module", [metrics, eager], ids=["served", "eager"])
@pytest.mark.parametrize(("call", "said"), REFUSED)
def test_what_no_metric_can_be_is_refused_before_triton_is_asked(
    served: Callable[..., Any], module: Any, call: Callable[[Any], object], said: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        call(module)
    assert not MetricFamily.all


def test_labels_are_shown_as_text(served: Callable[..., Any]) -> None:
    calls = metrics.counter("calls", "Calls.")

    for value in (404, True, 1.5, np.float32(0.5), np.bool_(False), "a"):
        calls.inc(v=value)

    shown = [served("calls", v=text).value() for text in ("404", "True", "1.5", "0.5", "False", "a")]
    assert shown == [1] * 6
    assert calls.value(v="404") == calls.value(v=404) == 1


def test_help_of_several_lines_stays_one_of_the_servers(
    served: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    monkeypatch.setattr(MetricFamily, "__init__", lambda self, name, description, kind: made.append(description))
    monkeypatch.setattr(MetricFamily, "kind", 0, raising=False)
    monkeypatch.setattr(MetricFamily, "name", "calls", raising=False)

    metrics.counter("calls", "One.\nTwo, C:\\x.").inc()

    assert made == [r"One.\nTwo, C:\\x."]


def test_a_metric_is_made_once() -> None:
    assert metrics.counter("t_once", "") is metrics.counter("t_once", "")
