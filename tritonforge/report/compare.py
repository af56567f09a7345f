"""Two saved reports, point by point."""

from __future__ import annotations

from collections.abc import Sequence

from tritonforge.load import Point, Report, Window
from tritonforge.report.tables import comparison_table, markdown
from tritonforge.report.verdicts import Comparison, Rules, Windows, compare_points

__all__ = ["compare_reports", "comparison_markdown", "headline", "windows_of"]


def compare_reports(base: Report, new: Report, *, names: tuple[str, str], rules: Rules | None = None) -> Comparison:
    """Compare the loads that two reports have in common, over the windows that their figures are made of.

    What differs between one run and the next is in neither report; the comparison's warnings say so, and name what is
    known to differ: the machine, versions, loads.
    """
    theirs = {(str(point.load), point.protocol): point for point in new.points}
    points: dict[str, tuple[Windows, Windows]] = {}
    both = {point.protocol for point in base.points}
    for point in base.points:
        other = theirs.get((str(point.load), point.protocol))
        if other is not None:
            label = f"{point.load}, {point.protocol}" if len(both) > 1 else str(point.load)
            points[label] = (_measured(point), _measured(other))
    return compare_points(
        points,
        base=names[0],
        new=names[1],
        rules=rules or Rules(),
        paired=False,
        warnings=_warnings(base, new, len(points)),
    )


def windows_of(windows: Sequence[Window]) -> Windows:
    """Give the figures of windows that are compared.

    One in which nothing ended counts as half a request, as slow as the window is long: a stall is no reason to leave
    it out.
    """
    return {
        "throughput": [window.throughput or 0.5 / window.duration_s for window in windows],
        "p50": [window.p50_us or window.duration_s * 1e6 for window in windows],
        "p99": [window.p99_us or window.duration_s * 1e6 for window in windows],
    }


def comparison_markdown(comparison: Comparison) -> str:
    """Write a comparison for a pull request: what to know first, then the table."""
    lines = [f"### {headline(comparison)}", "", f"`{comparison.new}` beside `{comparison.base}`", ""]
    lines += [markdown(comparison_table(comparison, bold=True)), ""]
    lines += [f"- {warning}" for warning in comparison.warnings]
    return "\n".join(lines).rstrip() + "\n"


def headline(comparison: Comparison) -> str:
    """Say in a line how many loads became better or worse, and whether a limit is exceeded."""
    verdicts = [point.verdict for point in comparison.points]
    counts = [f"{verdicts.count(v)} {v}" for v in ("worse", "better", "same", "unsure") if v in verdicts]
    said = f"{len(verdicts)} load{'s'[: len(verdicts) != 1]}: {', '.join(counts) or 'nothing in common'}"
    if comparison.rules.max_regression is None:
        return said
    found, limit = len(comparison.regressions), f"{comparison.rules.max_regression:.0%}"
    return f"{said}; {found or 'no'} regression{'s'[: found != 1]} beyond {limit}"


def _measured(point: Point) -> Windows:
    return windows_of([window for window in point.windows if window.measured])


def _warnings(base: Report, new: Report, common: int) -> list[str]:
    told = [
        "saved reports of two runs: what changed on the machine between them is not in the intervals; "
        "compare two live servers for windows that take turns"
    ]
    for what in ("hardware", "versions"):
        before, after = getattr(base.environment, what), getattr(new.environment, what)
        different = [f"{key} {before.get(key, '–')} → {after.get(key, '–')}" for key in sorted({*before, *after})
                     if before.get(key) != after.get(key)]  # fmt: skip
        if different:
            told.append(f"other {what}: {', '.join(different)}")
    left_out = len(base.points) + len(new.points) - 2 * common
    if left_out:
        told.append(f"{left_out} loads are in one report alone, and left out")
    for name, report in (("base", base), ("new", new)):
        failed = sum(point.failed for point in report.points)
        if failed:
            told.append(f"{failed:,} requests of the {name} failed; figures are of those that succeeded")
    return told
