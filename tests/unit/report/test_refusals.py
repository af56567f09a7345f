"""A load all of whose requests are refused ends early."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tritonforge.load import Errors, Point, Report, SweepStopped, Window
from tritonforge.load.stopped import Kept, keeping
from tritonforge.report.refusals import NothingSucceeds, comes_of_refusals, giving_up
from tritonforge.report.scenario import Scenario
from tritonforge.report.sweep import sweep

from .sample_report import report


def point(*kinds: str, succeeded: int = 0, windows: int = 2) -> Point:
    errors = tuple(Errors(kind, 9, "no") for kind in kinds)
    window = Window(0.0, 1.0, succeeded, succeeded, 9, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    return replace(report().points[0], errors=errors, windows=(window,) * windows)


@pytest.mark.parametrize("kind", ["HTTP 400", "HTTP 401", "HTTP 500", "gRPC 3", "gRPC 13"])
def test_it_ends_where_all_are_refused_for_two_seconds(kind: str) -> None:
    told: list[Point] = []
    watched = giving_up(told.append)
    watched(point(kind, windows=1))
    with pytest.raises(NothingSucceeds, match=rf"no request succeeds: 9 × {kind}: no; with --max-errors 100% it would"):
        watched(point(kind))
    assert len(told) == 2


@pytest.mark.parametrize("kind", ["HTTP 503", "HTTP 429", "gRPC 14", "gRPC 1", "connection", "timeout", "wrong answer"])
def test_it_goes_on_where_that_may_change(kind: str) -> None:
    watched = giving_up(None)
    watched(point(kind))
    watched(point("HTTP 400", kind))
    watched(point("HTTP 400", succeeded=1))
    watched(point())


def test_a_sweep_is_ended_by_it_unless_all_may_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def sweep_one(settings: Any, *, on_window: Any, on_point: Any, **_: Any) -> Report:
        kept = Kept(on_window, on_point)
        with keeping(lambda _: replace(report(), points=kept.so_far), kept):
            kept.window(point("HTTP 400"))
        return report()

    monkeypatch.setattr("tritonforge.report.sweep.sweep_one", sweep_one)
    monkeypatch.setattr("tritonforge.report.sweep._ask", lambda settings: None)
    scenario = Scenario("fraud", url=("http://127.0.0.1:1",))
    with pytest.raises(SweepStopped, match="no request succeeds") as ended:
        sweep(scenario)
    assert comes_of_refusals(ended.value)
    assert not comes_of_refusals(SweepStopped("gone", report()))
    assert sweep(replace(scenario, max_errors="100%")).points
