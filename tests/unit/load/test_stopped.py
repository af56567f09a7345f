"""What is kept where a sweep or a search is ended, also once its last load is over."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from tritonforge.load import (
    Load,
    LoadFailed,
    ModelLoad,
    Point,
    Progress,
    Report,
    Settings,
    SweepInterrupted,
    SweepStopped,
    find_max,
    parse_slo,
    sweep,
)
from tritonforge.load.figures.histogram import Histogram
from tritonforge.load.figures.merge import make_point
from tritonforge.load.workers.job import Tally

LOADS = (Load("concurrency", 1), Load("concurrency", 2))
SETTINGS = Settings("http://127.0.0.1:1", (ModelLoad("m"),), LOADS, slo=parse_slo("p99=5ms"))
ENDS = [
    (LoadFailed("it is gone"), "it is gone"),
    (KeyboardInterrupt(), "interrupted"),
    (KeyboardInterrupt("terminated"), "terminated"),
]


class Pretended:
    """A session whose loads have two windows: something ends it after the first one of a load, or as it is left."""

    server: ClassVar[dict[str, Any]] = {}
    ends: ClassVar[BaseException]
    amid: ClassVar[Load | None]

    def __init__(self, settings: Settings, **_: Any) -> None:
        self.settings = settings

    def __enter__(self) -> Pretended:
        return self

    def __exit__(self, *error: object) -> None:
        if self.amid is None:
            raise self.ends

    def measure(self, load: Load, *, on_window: Progress) -> Point:
        latency = Histogram.of([1_000_000] * 100)
        point = make_point(load, self.settings, [Tally(0, 10**9, latency, latency)], 1, agreed=True)
        on_window(point)
        if load == self.amid:
            raise self.ends
        return point


def ended(
    measure: Callable[[Settings], Report],
    ends: BaseException,
    amid: Load | None,
    monkeypatch: pytest.MonkeyPatch,
) -> SweepStopped | SweepInterrupted:
    """Give what a sweep or a search ends with."""
    monkeypatch.setattr(Pretended, "ends", ends, raising=False)
    monkeypatch.setattr(Pretended, "amid", amid, raising=False)
    for module in ("sweep", "search"):
        monkeypatch.setattr(sys.modules[f"tritonforge.load.{module}"], "Session", Pretended)
    with pytest.raises((SweepStopped, SweepInterrupted)) as error:
        measure(SETTINGS)
    assert isinstance(error.value, SweepInterrupted) is isinstance(ends, KeyboardInterrupt)
    return error.value  # type: ignore[return-value]


@pytest.mark.parametrize("measure", [sweep, find_max])
@pytest.mark.parametrize(("ends", "words"), ENDS)
def test_nothing_is_lost_where_it_is_ended_after_the_last_load(
    measure: Callable[[Settings], Report], ends: BaseException, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As its processes are stopped, say: all is there, and nothing was cut short."""
    early = ended(measure, ends, None, monkeypatch)
    assert [(point.load, point.stable, point.ended_by) for point in early.report.points] == [
        (load, True, "") for load in LOADS
    ]
    assert early.report.complete
    assert not early.report.ended_by
    assert early.report.best == (LOADS[-1] if measure is find_max else None)
    assert str(early) == words


@pytest.mark.parametrize("measure", [sweep, find_max])
@pytest.mark.parametrize(("ends", "words"), ENDS)
def test_the_load_that_is_cut_short_says_why(
    measure: Callable[[Settings], Report], ends: BaseException, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = ended(measure, ends, LOADS[1], monkeypatch)
    assert [(point.load, point.stable, point.ended_by) for point in early.report.points] == [
        (LOADS[0], True, ""),
        (LOADS[1], False, words),
    ]
    assert not early.report.complete
    assert "at concurrency 2" in str(early)
    written = early.report.to_json()
    assert Report.from_json(written).points[1].ended_by == words
    assert Report.from_json(written).ended_by == str(early)
    del written["ended_by"]  # as in reports of before
    assert Report.from_json(written).ended_by == ""
