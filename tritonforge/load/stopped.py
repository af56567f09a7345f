"""What was measured where a sweep ends early, or amid its end: no figure is lost by what comes after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from tritonforge.errors import TritonForgeError
from tritonforge.load.errors import LoadFailed
from tritonforge.load.results import Point, Report
from tritonforge.load.session import Progress
from tritonforge.load.settings import Load

__all__ = ["Kept", "SweepInterrupted", "SweepStopped", "keeping"]


class SweepStopped(LoadFailed):
    """A sweep ended early: the server went away, say. `report` has what was measured until then."""

    def __init__(self, reason: str, report: Report) -> None:
        super().__init__(reason)
        self.report = report


class SweepInterrupted(KeyboardInterrupt):
    """Somebody interrupted a sweep. `report` has what was measured until then."""

    def __init__(self, reason: str, report: Report) -> None:
        super().__init__(reason)
        self.report = report


class Kept:
    """The points of a sweep so far, the one under way included: as far as it came, and not stable."""

    def __init__(self, on_window: Progress | None, on_point: Progress | None) -> None:
        self._on_window, self._on_point = on_window, on_point
        self._under_way: tuple[Point, ...] = ()
        self.points: list[Point] = []
        self.at: Load | None = None
        """The load that is under way, or was the last; None once all are over."""
        self.complete = False
        """Whether all are over."""

    def window(self, point: Point) -> None:
        """Take the figures of a load after one of its windows, and pass them on."""
        self._under_way = (replace(point, stable=False),)
        if self._on_window is not None:
            self._on_window(point)

    def point(self, point: Point) -> None:
        """Take a load's figures, and pass them on."""
        self._under_way = ()
        self.points.append(point)
        if self._on_point is not None:
            self._on_point(point)

    def finish(self) -> None:
        """Take note that all loads are over: what comes now is the end of the session."""
        self.at, self.complete = None, True

    def cut_short(self, reason: str) -> None:
        """Say of the load that is under way why it went no further."""
        self._under_way = tuple(replace(point, ended_by=reason) for point in self._under_way)

    @property
    def so_far(self) -> tuple[Point, ...]:
        """All of them."""
        return (*self.points, *self._under_way)


@contextmanager
def keeping(report: Callable[[tuple[Report, ...]], Report | None], kept: Kept | None = None) -> Iterator[None]:
    """Where the block ends by an error or by Ctrl-C, raise it with what `report` gives: None where there is nothing.

    It is told the reports that the error has itself, if any. The error tells of the load that `kept` is at.

    Raises:
        SweepStopped: something failed after something was measured.
        SweepInterrupted: it was interrupted after something was measured.
    """
    try:
        yield
    except (TritonForgeError, OSError) as error:
        at = _cut_short(kept, str(error))
        found = report((error.report,) if isinstance(error, SweepStopped) else ())
        if found is None:
            raise
        reason = f"ended at {at}: {error}" if at else str(error)
        raise SweepStopped(reason, _with_reason(found, reason)) from error
    except KeyboardInterrupt as error:
        reason = str(error) or "interrupted"
        at = _cut_short(kept, reason)
        found = report((error.report,) if isinstance(error, SweepInterrupted) else ())
        if found is None:
            raise
        reason = f"{reason} at {at}" if at else reason
        raise SweepInterrupted(reason, _with_reason(found, reason)) from error


def _with_reason(report: Report, reason: str) -> Report:
    return report if report.complete else replace(report, ended_by=reason)


def _cut_short(kept: Kept | None, reason: str) -> Load | None:
    if kept is None:
        return None
    kept.cut_short(reason)
    return kept.at
