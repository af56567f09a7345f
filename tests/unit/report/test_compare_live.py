"""Live servers that take turns, without a server."""

from __future__ import annotations

from dataclasses import replace
from types import TracebackType

import pytest

from tritonforge.load import Load, Point, Settings
from tritonforge.report import Comparison, Rules
from tritonforge.report.scenario import Scenario
from tritonforge.report.sweep import compare_live

from .sample_report import point

GOOD, FAILING, SILENT = "http://good:8000", "http://failing:8000", "http://silent:8000"


class StandIn:
    """A session whose server answers twice as fast where it fails, or doesn't answer, so many requests."""

    def __init__(self, settings: Settings) -> None:
        self.url, self.measured = settings.url, 0

    def __enter__(self) -> StandIn:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def measure(self, load: Load, *, windows: int) -> Point:
        self.measured += 1
        slower = 1.0 if self.url == GOOD else 0.5
        found = point(1, seed=self.measured, slower=slower, errors=2000 if self.url == FAILING else 0)
        return replace(found, unanswered=2000 if self.url == SILENT else 0)


@pytest.fixture(autouse=True)
def _without_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tritonforge.report.sweep.Session", StandIn)


def compared(*urls: str) -> list[Comparison]:
    return compare_live(Scenario("m", url=urls), pairs=12, rules=Rules())


@pytest.mark.parametrize("bad", [FAILING, SILENT])
def test_one_that_fails_requests_is_not_better(bad: str) -> None:
    assert [each.points[0].verdict for each in compared(GOOD, bad)] == ["failing"]
    assert [each.points[0].verdict for each in compared(bad, GOOD, bad)] == ["not judged", "failing"]


def test_one_that_is_compared_with_itself_is_told() -> None:
    itself, other = compared(GOOD, "http://good:8000/", "http://other:8000")
    said = "http://good:8000/ is compared with itself: what differs is what measuring varies by"
    assert said in itself.warnings
    assert not any("itself" in words for words in other.warnings)


def test_how_requests_failed_is_told() -> None:
    (told,) = compared(GOOD, FAILING)
    words = f"24,000 requests to {FAILING} failed (all: HTTP 400: input 'x' has <no> batch)"
    assert f"{words}; figures are of those that succeeded" in told.warnings
