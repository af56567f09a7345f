"""What is said beside the figures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tritonforge.load import Errors, Point
from tritonforge.load.figures.estimates import estimate
from tritonforge.report import point_table, warnings_of
from tritonforge.report.page import page

from .sample_report import latency, report


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


def test_percentiles_of_few_requests_are_noted_once() -> None:
    made = report()
    few, enough = (latency(np.full(count, 5.0)) for count in (999, 1000))
    points = (replace(made.points[0], latency=few), replace(made.points[1], latency=enough))
    assert [words.partition(":")[0] for words in warnings_of(replace(made, points=points))] == ["concurrency 1"]
    points = (points[0], replace(points[1], latency=latency(np.array([1.0, 2.0, 3.0]))))
    (words,) = warnings_of(replace(made, points=points))
    assert words.startswith("all loads: few requests: p99.9 needs 1,000, p99 100, ")


def test_what_failed_of_a_mix_names_its_models() -> None:
    made = report()
    one = Errors("gRPC 13", 3, "refused", {"rare": 3})
    both = Errors("timeout", 5, "", {"rare": 1, "fast": 4})
    points = (replace(made.points[0], errors=(one, both)), replace(made.points[1], errors=(one,)))
    assert warnings_of(replace(made, points=points)) == [
        "all loads: 6 × gRPC 13: refused (rare)",
        "concurrency 1: 5 × timeout (fast 4, rare 1)",
    ]


def test_of_many_warnings_that_differ_in_figures_alone_the_first_stands_for_all() -> None:
    made = report()

    def warned(count: int, words: str = "{} % of requests start {}.5 ms late or more") -> list[str]:
        warnings = [words.format(place, place * 3) for place in range(count)]
        generators = [replace(made.points[0].generator, warnings=(warning,)) for warning in warnings]
        points = [replace(point, generator=each) for point, each in zip(made.points[:count], generators, strict=True)]
        return warnings_of(replace(made, points=tuple(points)))

    assert len(warned(3)) == 3
    assert warned(5) == [
        "concurrency 1: 0 % of requests start 0.5 ms late or more "
        "(and with other figures: concurrency 2, concurrency 4, concurrency 8, concurrency 16)"
    ]
    assert len(warned(5, "m{} is slow")) == 5, "a name is no figure"


def test_failures_that_differ_in_figures_alone_are_each_told() -> None:
    made = report()
    statuses = (500, 502, 503, 504, 507)
    errors = [Errors(f"HTTP {status}", status, "refused") for status in statuses]
    points = [replace(point, errors=(error,)) for point, error in zip(made.points, errors, strict=False)]
    found = " ".join(warnings_of(replace(made, points=tuple(points))))
    assert all(f"{status} × HTTP {status}: refused" in found for status in statuses)


def test_a_load_that_was_cut_short_says_why() -> None:
    """Whether its windows agree was never asked."""
    made = report(stable=False)
    assert warnings_of(made) == ["all loads: not stable: the windows differ by more than the stability allows"]
    cut = replace(made.points[0], ended_by="the server\nwent away")
    found = replace(made, points=(cut,))
    assert warnings_of(found) == ["concurrency 1: ended early: the server went away"]
    assert note(cut) == "ended early"


def test_a_load_that_fell_short_has_that_in_its_row() -> None:
    point = replace(report().points[0], short_of=1_000_000)
    words = f"short: {point.requests:,} of 1,000,000 due"
    assert note(point) == words
    assert note(replace(point, stable=False)) == f"unstable, {words}"
    assert note(replace(point, stable=False, ended_by="it went away")) == f"ended early, {words}"
    assert f'<td class="phrase short">{words}</td>' in page(replace(report(), points=(point,)))


def note(point: Point) -> str:
    table = point_table([point])
    return table.rows[0][table.columns.index("note")]


def test_half_of_an_interval_is_shown_whole_where_0_cuts_it_off() -> None:
    wide = estimate(10.0, [1.0, 19.0])
    assert wide.low == 0
    made = replace(report().points[0], throughput=wide)
    assert point_table([made]).rows[0][1] == "10 ± 114"
