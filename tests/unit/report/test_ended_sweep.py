"""A scenario's sweep that is ended while the server that was started for it stops."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from tritonforge.load import LoadFailed, Report, SweepInterrupted, SweepStopped
from tritonforge.report.scenario import Scenario
from tritonforge.report.served import Served
from tritonforge.report.sweep import sweep

from .sample_report import report

HTTP, GRPC = "http://127.0.0.1:1", "grpc://127.0.0.1:2"


def serving(monkeypatch: pytest.MonkeyPatch, ends: BaseException) -> None:
    """Have a server whose stop is ended by something."""

    @contextmanager
    def served(scenario: Scenario, **_: Any) -> Iterator[Served]:
        yield Served((HTTP, GRPC))
        raise ends

    monkeypatch.setattr("tritonforge.report.sweep.served", served)
    monkeypatch.setattr("tritonforge.report.sweep._ask", lambda settings: None)


@pytest.mark.parametrize(("ends", "kind"), [(KeyboardInterrupt(), SweepInterrupted), (LoadFailed("no"), SweepStopped)])
def test_all_that_was_measured_is_kept(
    ends: BaseException, kind: type[SweepInterrupted | SweepStopped], monkeypatch: pytest.MonkeyPatch
) -> None:
    serving(monkeypatch, ends)
    monkeypatch.setattr("tritonforge.report.sweep.sweep_one", lambda settings, **_: report())
    with pytest.raises(kind) as error:
        sweep(Scenario("fraud"))
    assert error.value.report == replace(report(), points=report().points * 2)  # type: ignore[attr-defined]
    assert error.value.report.complete  # type: ignore[attr-defined]


@pytest.mark.parametrize(("at", "complete"), [(0, False), (1, True)])
def test_it_is_whole_where_the_last_url_was(at: int, complete: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is ended after its last load, with a whole report."""
    told = list[str]()

    def sweep_one(settings: Any, **_: Any) -> Report:
        told.append(settings.url)
        if len(told) > at:
            raise SweepInterrupted("interrupted", report())
        return report()

    serving(monkeypatch, LoadFailed("not reached"))
    monkeypatch.setattr("tritonforge.report.sweep.sweep_one", sweep_one)
    with pytest.raises(SweepInterrupted, match=r"^interrupted$") as error:
        sweep(Scenario("fraud"))
    assert told == [HTTP, GRPC][: at + 1]
    assert error.value.report.complete is complete
    assert len(error.value.report.points) == len(report().points) * (at + 1)


def test_an_error_of_the_servers_start_is_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def served(scenario: Scenario, **_: Any) -> Iterator[Served]:
        raise LoadFailed("it doesn't start")
        yield

    monkeypatch.setattr("tritonforge.report.sweep.served", served)
    with pytest.raises(LoadFailed, match="doesn't start") as error:
        sweep(Scenario("fraud"))
    assert not isinstance(error.value, SweepStopped)


def test_all_urls_are_asked_before_any_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tritonforge.report.sweep.sweep_one", lambda settings, **_: report())
    with pytest.raises(LoadFailed, match=r"127\.0\.0\.1:2") as error:
        sweep(Scenario("fraud", url=(HTTP, "grpc://127.0.0.1:2")))
    assert not isinstance(error.value, SweepStopped)
