"""What is said beside the figures."""

from __future__ import annotations

from dataclasses import replace

from tritonforge.load import Errors
from tritonforge.report import warnings_of

from .sample_report import report


def test_warnings_name_the_loads_once() -> None:
    assert warnings_of(report()) == []
    failed = report(errors=3)
    count = sum(point.failed for point in failed.points)
    assert warnings_of(failed) == [f"all loads: {count} × HTTP 400: input 'x' has <no> batch"]


def test_what_failed_is_told_before_the_rest_in_one_line_each() -> None:
    made = report()
    first = replace(
        made.points[0],
        errors=(Errors("HTTP 503", 1400, "too\r\n\x1b[1mcold "), Errors("timeout", 2)),
        generator=replace(made.points[0].generator, warnings=("the generator waited",)),
    )
    assert warnings_of(replace(made, points=(first, *made.points[1:]))) == [
        "concurrency 1: 1,400 × HTTP 503: too [1mcold",
        "concurrency 1: 2 × timeout",
        "concurrency 1: the generator waited",
    ]
    nothing = replace(first, windows=())
    assert warnings_of(replace(made, points=(nothing, *made.points[1:])))[2:] == [
        "concurrency 1: nothing was measured: no request succeeded within a window",
        "concurrency 1: the generator waited",
    ]
