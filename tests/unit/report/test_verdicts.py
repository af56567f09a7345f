"""Verdicts over several figures, and what counts as a regression."""

from __future__ import annotations

import numpy as np
import pytest

from tritonforge.report import Rules, comparison_markdown, comparison_table, headline
from tritonforge.report.ratios import Ratio
from tritonforge.report.verdicts import (
    FIGURES,
    Comparison,
    FigureChange,
    PointChange,
    Verdict,
    Windows,
    compare_points,
)

RANDOM = np.random.default_rng(3)


def series(level: float, spread: float = 0.01, count: int = 20) -> list[float]:
    return (level * np.exp(spread * RANDOM.standard_normal(count))).tolist()


def side(rate: float, p50: float, p99: float, *, spread: float = 0.01, count: int = 20) -> Windows:
    return {
        "throughput": series(rate, spread, count),
        "p50": series(p50, spread, count),
        "p99": series(p99, spread, count),
    }


def compare(base: Windows, new: Windows, *, paired: bool = True, **rules: float) -> Comparison:
    return compare_points({"concurrency 4": (base, new)}, base="a", new="b", rules=Rules(**rules), paired=paired)


@pytest.mark.parametrize(
    ("new", "verdicts", "together"),
    [
        (side(1000, 100, 500), ["same", "same", "same"], "same"),
        (side(1200, 80, 400), ["better", "better", "better"], "better"),
        (side(800, 125, 600), ["worse", "worse", "worse"], "worse"),
        (side(1000, 100, 600), ["same", "same", "worse"], "worse"),
        (side(1100, 100, 600), ["better", "same", "worse"], "worse"),
        (side(1000, 100, 500, spread=0.5), ["unsure", "unsure", "unsure"], "unsure"),
    ],
    ids=["same", "better", "worse", "tail", "mixed", "noise"],
)
@pytest.mark.parametrize("paired", [True, False])
def test_a_load_is_worse_if_any_of_its_figures_is(
    new: Windows, verdicts: list[str], together: str, paired: bool
) -> None:
    (point,) = compare(side(1000, 100, 500), new, paired=paired).points
    assert [change.verdict for change in point.figures] == verdicts
    assert point.verdict == together


def test_a_regression_is_significant_and_beyond_the_limit() -> None:
    base = side(1000, 100, 500)
    assert not compare(base, side(960, 104, 520), max_regression=0.05).regressions
    assert not compare(base, side(900, 110, 550, spread=0.5), max_regression=0.05).regressions
    assert not compare(base, side(900, 110, 550)).regressions
    found = compare(base, side(900, 100, 600), max_regression=0.05).regressions
    assert [change.figure.name for _, change in found] == ["throughput", "p99"]
    assert found[0][1].worsening == pytest.approx(0.1, abs=0.02)
    assert found[1][1].worsening == pytest.approx(0.2, abs=0.02)


def test_an_interval_that_tells_nothing_is_not_spelled_out() -> None:
    base, new = (dict.fromkeys(("throughput", "p50", "p99"), values) for values in ([50.0, 200.0], [20.0, 500.0]))
    comparison = compare(base, new, paired=False)
    assert {row[4] for row in comparison_table(comparison).rows} == {
        "1.000 (too few windows for how they vary), +0.0 %"
    }


def test_confidence_is_shared_by_all_figures_of_all_loads() -> None:
    """With many loads each interval is wider, so that no load is called different by their number alone."""
    alone = compare(side(1000, 100, 500), side(1020, 100, 500))
    base, new = side(1000, 100, 500), side(1020, 100, 500)
    many = compare_points(
        {f"concurrency {n}": (base, new) for n in range(30)}, base="a", new="b", rules=Rules(), paired=True
    )
    (one,), (first, *_) = alone.points, many.points
    assert (
        first.figures[0].ratio.high / first.figures[0].ratio.low > one.figures[0].ratio.high / one.figures[0].ratio.low
    )


def test_too_few_pairs_are_unsure_and_say_how_many_are_needed() -> None:
    comparison = compare(side(1000, 100, 500, count=5), side(500, 200, 900, count=5))
    assert comparison.points[0].verdict == "unsure"
    assert comparison.warnings == (
        "5 pairs of windows can't tell a difference at this confidence over 3 figures; at least 10 are needed",
    )
    assert "too few windows" in comparison_table(comparison).rows[0][4]


def test_a_ratio_that_is_not_the_columns_quotient_is_explained() -> None:
    """The machine slows down for the last rounds: each pair knows, the medians of the sides don't."""
    base = [100.0, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1100, 1200]
    new = [150.0, 300, 450, 600, 750, 900, 600, 700, 800, 900, 990, 1080]
    told, _ = compare({"throughput": base}, {"throughput": new}).warnings  # and how much longer
    assert told.startswith("new / base is the median of the pairs' own ratios")
    assert not compare({"throughput": base}, {"throughput": [each * 1.1 for each in base]}).warnings


def test_columns_that_say_the_opposite_of_the_ratio_are_left_out() -> None:
    """Each pair but one says half again as slow; that one has the new server's median."""
    base = [100.0, 110, 120, 130, 140, 1200, 1210, 1220, 1230, 1240, 1250]
    new = [671.0 if each == 1200 else each * 1.5 for each in base]
    comparison = compare({"p50": base}, {"p50": new})
    (change,) = comparison.points[0].figures
    assert change.new < change.base
    assert change.ratio.estimate > 1.03
    assert comparison_table(comparison).rows[0][2:4] == ("–", "–")
    said = "they are left out where that says the opposite, and is more than 3 % from it"
    assert comparison.warnings[0].endswith(said)


def test_columns_that_nearly_agree_with_the_ratio_stay_and_are_explained() -> None:
    """The median of the new one's windows is a little above the base's, and most pairs a little below."""
    base = [160.0, 161, 162, 163, 164, 165, 166, 167, 168, 169, 170, 171]
    new = [each * 0.99 for each in base[:5]] + [167.0, 168] + [each * 0.99 for each in base[7:]]
    comparison = compare({"throughput": base}, {"throughput": new})
    (change,) = comparison.points[0].figures
    assert change.new > change.base
    assert change.ratio.estimate < 1
    assert "–" not in comparison_table(comparison).rows[0][2:4]
    assert comparison.warnings[0].startswith("new / base is the median of the pairs' own ratios")


def test_figures_that_one_side_lacks_are_left_out() -> None:
    (point,) = compare({"throughput": [1.0] * 12}, {"throughput": [2.0] * 12, "p99": [1.0] * 12}).points
    assert [change.figure.name for change in point.figures] == ["throughput"]


def test_markdown_has_a_headline_and_a_table() -> None:
    comparison = compare(side(1000, 100, 500), side(800, 100, 500), max_regression=0.05)
    assert headline(comparison).startswith("1 load: 1 worse; 1 regression beyond 5 %: throughput at concurrency 4 (-")
    lines = comparison_markdown(comparison).splitlines()
    assert lines[0] == f"### {headline(comparison)}"
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 5
    assert table[2].startswith("| concurrency 4 | throughput | ")
    assert table[2].endswith("**worse** |")
    assert table[3].startswith("|  | p50 latency | 100 µs") or "same" in table[3]


def test_two_reports_are_compared_where_they_meet() -> None:
    from tritonforge.report import compare_reports

    from .sample_report import report

    base, new = report(), report(seed=1, slower=1.3)
    comparison = compare_reports(base, new, names=("base.json", "new.json"))
    assert [point.label for point in comparison.points] == [str(point.load) for point in base.points]
    assert {point.verdict for point in comparison.points} <= {"worse", "unsure"}
    assert comparison.points[0].windows == (3, 3)
    assert any("saved reports of two runs" in warning for warning in comparison.warnings)


def test_what_is_known_to_differ_is_told() -> None:
    from dataclasses import replace

    from tritonforge.report import compare_reports

    from .sample_report import report

    base = report()
    environment = replace(base.environment, hardware={"cpu": "64 cores"})
    other = replace(base, environment=environment, points=base.points[:3])
    warnings = compare_reports(base, other, names=("a", "b")).warnings
    assert "other hardware: cpu 2 cores → 64 cores" in warnings
    assert "4 loads are in one report alone, and left out" in warnings
    six = compare_reports(base, replace(base, points=base.points[:6]), names=("a", "b")).warnings
    assert "1 load is in one report alone, and left out" in six


def test_a_gate_that_has_too_few_windows_to_tell_says_so() -> None:
    """A window each: the estimate is far beyond the limit, and nothing can be said of it."""
    base, new = side(1000, 100, 500, count=1), side(88, 1100, 5000, count=1)
    comparison = compare(base, new, paired=False, max_regression=0.05)
    assert not comparison.regressions
    assert len(comparison.undecided) == 3
    assert headline(comparison).startswith(
        "1 load: 1 unsure; no regression beyond 5 % was shown; one can't be ruled out of throughput at concurrency 4 "
        "(-91.2 %, too few windows), p50 latency at concurrency 4 (+1002.5 %, too few windows), "
    )
    assert headline(comparison).endswith(": measure longer")
    assert not compare(base, new, paired=False).undecided
    ten = compare(side(1000, 100, 500, count=10), side(88, 1100, 5000, count=10), paired=False, max_regression=0.05)
    assert len(ten.regressions) == 3


def ratios(*intervals: tuple[float, float, float, Verdict]) -> Comparison:
    """Make a comparison of throughput alone: at each load a ratio in its interval, held against 5 %."""
    points = []
    for load, (low, estimate, high, verdict) in enumerate(intervals, 1):
        change = FigureChange(FIGURES[0], 100.0, 100.0 * estimate, Ratio(estimate, low, high), verdict)
        points.append(PointChange(f"concurrency {load}", (change,), (10, 10)))
    return Comparison("a", "b", tuple(points), Rules(max_regression=0.05), paired=False)


@pytest.mark.parametrize(
    ("intervals", "words"),
    [
        (
            [(0.36, 0.909, 2.3, "unsure")],
            "1 load: 1 unsure; no regression beyond 5 % was shown; one can't be ruled out of throughput at "
            "concurrency 1 (-9.1 %, unsure): measure longer",
        ),
        (
            [(0.85, 0.9, 0.95, "worse"), (0.8, 0.93, 1.01, "unsure")],
            "2 loads: 1 worse, 1 unsure; 1 regression beyond 5 %: throughput at concurrency 1 (-10.0 %); another can't "
            "be ruled out of throughput at concurrency 2 (-7.0 %, unsure): measure longer",
        ),
        (
            [(0.85, 0.9, 0.95, "worse")],
            "1 load: 1 worse; 1 regression beyond 5 %: throughput at concurrency 1 (-10.0 %)",
        ),
        (
            [(0.8, 0.96, 1.1, "unsure"), (0.98, 1.0, 1.02, "same")],
            "2 loads: 1 same, 1 unsure; no regression beyond 5 % was shown; the intervals of 1 of 2 figures reach "
            "further",
        ),
        (
            [(0.94, 0.96, 0.99, "worse")],
            "1 load: 1 worse; no regression beyond 5 % was shown; the interval reaches further",
        ),
        (
            [(0.951, 0.97, 0.99, "worse"), (0.96, 1.0, 1.1, "unsure")],
            "2 loads: 1 worse, 1 unsure; a regression beyond 5 % is ruled out",
        ),
    ],
    ids=["unsure", "both", "shown", "reaches", "worse within it", "ruled out"],
)
def test_the_headline_says_what_a_limit_is_held_against(
    intervals: list[tuple[float, float, float, Verdict]], words: str
) -> None:
    comparison = ratios(*intervals)
    assert headline(comparison) == words
    assert bool(comparison.undecided) == ("can't be ruled out" in words)
    assert bool(comparison.regressions) == ("regression beyond 5 %: " in words)


@pytest.mark.parametrize("paired", [True, False])
def test_a_load_at_which_nothing_succeeded_has_no_verdict(paired: bool) -> None:
    sides = {"concurrency 1": (side(1000, 100, 500), {}), "concurrency 2": (side(1000, 100, 500),) * 2}
    comparison = compare_points(sides, base="a", new="b", rules=Rules(), paired=paired)
    assert [point.verdict for point in comparison.points] == ["not measured", "same"]
    assert [point.label for point in comparison.unjudged] == ["concurrency 1"]
    row = comparison_table(comparison).rows[0]
    assert row == ("concurrency 1", "nothing measured", "–", "–", "–", "not measured")
    assert "concurrency 1: nothing succeeded of b, so that there is nothing to compare" in comparison.warnings
    assert headline(comparison) == "2 loads: 1 same, 1 not measured"


def test_that_all_requests_failed_is_told_once() -> None:
    sides = {"concurrency 1": (side(1000, 100, 500), {})}
    comparison = compare_points(
        sides, base="a", new="b", rules=Rules(), paired=False, failed={"concurrency 1": (0.0, 1.0)}
    )
    assert comparison.points[0].verdict == "failing"
    assert comparison.warnings == ("concurrency 1: nothing succeeded of b, so that there is nothing to compare",)


def test_the_columns_of_saved_reports_are_those_of_the_ratio() -> None:
    base, new = [100.0] * 9, [100.0] * 5 + [300.0] * 4
    comparison = compare({"throughput": base}, {"throughput": new}, paired=False)
    (change,) = comparison.points[0].figures
    assert change.new / change.base == pytest.approx(change.ratio.estimate)
    assert not [words for words in comparison.warnings if "quotient" in words]


def test_reports_of_different_models_are_refused() -> None:
    from dataclasses import replace

    from tritonforge.load import ModelLoad
    from tritonforge.report import compare_reports
    from tritonforge.report.compare import OtherModels

    from .sample_report import report

    base = report()
    other = replace(base, settings=replace(base.settings, models=(ModelLoad("shout"),)))
    with pytest.raises(OtherModels) as error:
        compare_reports(base, other, names=("a.json", "b.json"))
    assert str(error.value) == "two models are not compared: a.json is of fraud, b.json of shout"
    larger = replace(base, settings=replace(base.settings, models=(ModelLoad("fraud", batch_size=8),)))
    assert "other settings: batch_size 1 → 8" in compare_reports(base, larger, names=("a", "b")).warnings
    tenant = replace(base, settings=replace(base.settings, parameters={"tenant": "a"}))
    said = compare_reports(base, tenant, names=("a", "b")).warnings
    assert "other settings: parameters – → tenant='a'" in said


def failing(base: float, new: float, **rules: float) -> Comparison:
    """Compare a server with one that is twice as fast, of whose requests so many fail."""
    sides = (side(1000, 100, 500), side(2000, 50, 250))
    failed = {"concurrency 4": (base, new)}
    return compare_points({"concurrency 4": sides}, base="a", new="b", rules=Rules(**rules), paired=True, failed=failed)


@pytest.mark.parametrize(
    ("base", "new", "verdict"),
    [
        (0.0, 0.4, "failing"),
        (0.4, 0.4, "failing"),
        (0.4, 0.0, "not judged"),
        (0.01, 0.01, "better"),
    ],
)
def test_fast_failures_make_nothing_better(base: float, new: float, verdict: Verdict) -> None:
    comparison = failing(base, new, max_regression=0.05)
    (point,) = comparison.points
    assert point.verdict == verdict
    if verdict == "better":
        return
    assert {change.verdict for change in point.figures} == {"not judged"}
    assert (bool(comparison.failing), bool(comparison.unjudged)) == (verdict == "failing", verdict == "not judged")
    assert not comparison.regressions
    assert headline(comparison).endswith("; nothing to hold against 5 %")
    assert comparison_table(comparison).rows[0] == (
        "concurrency 4", "failed requests", f"{base * 100:.1f} %", f"{new * 100:.1f} %", "–", verdict,
    )  # fmt: skip
    assert comparison.warnings[0].startswith("concurrency 4: 40.0 % of the requests of ")


def test_so_many_may_fail_as_is_said() -> None:
    assert failing(0.0, 0.4, max_errors=0.5).points[0].verdict == "better"
    assert failing(0.0, 0.005, max_errors=0.001).points[0].verdict == "failing"


@pytest.mark.parametrize(
    ("factor", "spread", "undecided"),
    [
        (1.0, 0.01, False),  # surely within the limit
        (1.0, 0.2, True),  # nobody knows
        (0.8, 0.01, False),  # surely beyond it
        (0.96, 0.02, True),  # worse, and more or less than the limit
    ],
)
def test_strict_rules_leave_open_what_is_not_ruled_out(factor: float, spread: float, undecided: bool) -> None:
    base = {"throughput": [1000.0] * 20}
    new = {"throughput": [1000 * factor * (1 + spread * (place % 5 - 2)) for place in range(20)]}
    comparison = compare(base, new, max_regression=0.05, strict=True)
    assert bool(comparison.undecided) == undecided
    assert ("can't be ruled out of" in headline(comparison)) == undecided
