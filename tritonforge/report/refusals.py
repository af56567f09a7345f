"""Loads none of whose requests succeeds, since they are refused: a sweep of those needn't be measured to its end."""

from __future__ import annotations

import re

from tritonforge.load import LoadFailed, Point, Progress
from tritonforge.report.failing import ways_of_failing

__all__ = ["NothingSucceeds", "comes_of_refusals", "giving_up"]

_AFTER_S = 2.0
"""For how long requests have been refused by then, in windows."""

_LASTING = re.compile(r"(HTTP (4(?!08|25|29)\d\d|50[015])|gRPC (2|3|5|6|7|9|11|12|13|15|16))$")
"""Errors that a request has whenever it is sent; others are those of a server that is busy, away, or starting."""


class NothingSucceeds(LoadFailed):
    """All requests of a load are refused, so that nothing will be measured."""


def giving_up(on_window: Progress | None) -> Progress:
    """Make what is told the figures after a window, and ends a load of which all requests are refused.

    Raises:
        NothingSucceeds: there have been such windows only, for two seconds.
    """

    def window(point: Point) -> None:
        if on_window is not None:
            on_window(point)
        refused = point.failed and not point.requests and all(_LASTING.match(error.kind) for error in point.errors)
        if refused and sum(one.duration_s for one in point.windows) >= _AFTER_S:
            words = "; ".join(f"{count:,} × {way}" for way, count in ways_of_failing(point).items())
            raise NothingSucceeds(f"no request succeeds: {words}; with --max-errors 100% it would go on")

    return window


def comes_of_refusals(error: BaseException | None) -> bool:
    """Say whether a sweep ended as nothing in it succeeded."""
    return error is not None and (isinstance(error, NothingSucceeds) or comes_of_refusals(error.__cause__))
