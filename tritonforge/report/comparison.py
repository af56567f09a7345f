"""A comparison as a line, as Markdown, and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tritonforge.report.charts.numbers import percent
from tritonforge.report.tables import comparison_table, markdown
from tritonforge.report.verdicts import Comparison, FigureChange, PointChange, Rules, Verdict

__all__ = ["comparison_json", "comparison_markdown", "headline", "models_of"]

_ORDER: tuple[Verdict, ...] = ("failing", "worse", "better", "same", "unsure", "not judged", "not measured")
_NAMED = 3
_FORMAT = 1


def headline(comparison: Comparison) -> str:
    """Say in a line how many loads became better or worse, where requests fail, and what that says of a limit."""
    verdicts = [point.verdict for point in comparison.points]
    counts = [f"{verdicts.count(v)} {v}" for v in _ORDER if v in verdicts]
    said = f"{len(verdicts)} load{'s'[: len(verdicts) != 1]}: {', '.join(counts) or 'nothing in common'}"
    if failing := comparison.failing:
        found = ", ".join(f"{point.failed[1] * 100:.1f} % at {point.label}" for point in failing[:_NAMED])
        more = len(failing) - _NAMED
        said += f"; more requests fail than {comparison.rules.max_errors * 100:g} %: {found}"
        said += f" and at {more} more" if more > 0 else ""
    if comparison.rules.max_regression is None:
        return said
    return f"{said}; {_judgement(comparison, comparison.rules.max_regression)}"


def _judgement(comparison: Comparison, limit: float) -> str:
    """Say what was shown to be worse by more than a limit, what may be, and what surely isn't."""
    beyond, found, unsure = f"beyond {limit * 100:g} %", comparison.regressions, comparison.undecided
    figures = [change for point in comparison.points for change in point.figures if change.judged]
    where = " in what was judged" if comparison.failing or comparison.unjudged else ""
    if not figures:
        return f"nothing to hold against {limit * 100:g} %"
    shown = f"no regression {beyond} was shown{where}"
    if found:
        shown = f"{len(found)} regression{'s'[: len(found) != 1]} {beyond}: {_named(found)}"
    if unsure:
        return f"{shown}; {'another' if found else 'one'} can't be ruled out of {_named(unsure)}: measure longer"
    reaching = sum(not change.within(limit) for change in figures)
    if found:
        return shown
    if reaching:
        whose = "the interval" if len(figures) == 1 else f"the intervals of {reaching} of {len(figures)} figures"
        return f"{shown}; {whose} reach{'es'[: 2 * (len(figures) == 1)]} further"
    return f"a regression {beyond} is ruled out{where}"


def _named(found: Sequence[tuple[PointChange, FigureChange]]) -> str:
    names = []
    for point, change in found[:_NAMED]:
        sure = "" if change.verdict != "unsure" else ", unsure" if change.ratio.told else ", too few windows"
        names.append(f"{change.figure.label} at {point.label} ({percent(change.ratio.estimate - 1)}{sure})")
    more = len(found) - _NAMED
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def models_of(comparison: Comparison) -> str:
    """Name the models that were compared, as they are asked for: `fraud:2, digits`."""
    models = comparison.settings[1].get("models", ())
    return ", ".join(":".join(filter(None, (model["name"], model["version"]))) for model in models)


def comparison_markdown(comparison: Comparison) -> str:
    """Write a comparison for a pull request: what to know first, then the table."""
    models = f"`{named}`: " if (named := models_of(comparison)) else ""
    lines = [f"### {headline(comparison)}", "", f"{models}`{comparison.new}` beside `{comparison.base}`", ""]
    lines += [markdown(comparison_table(comparison, bold=True)), ""]
    lines += [f"- {warning}" for warning in comparison.warnings]
    return "\n".join(lines).rstrip() + "\n"


def comparison_json(comparisons: Sequence[Comparison]) -> str:
    """Write comparisons with one base as JSON: the rules, and of each figure the ratio, its interval and the verdict.

    A bound of an interval that tells nothing is null.
    """
    rules = asdict(comparisons[0].rules if comparisons else Rules())
    whole = {"format": _FORMAT, "rules": rules, "comparisons": [_comparison(each) for each in comparisons]}
    return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _comparison(comparison: Comparison) -> dict[str, Any]:
    base, new = comparison.settings
    return {
        "base": {"name": comparison.base, "settings": base},
        "new": {"name": comparison.new, "settings": new},
        "paired": comparison.paired,
        "headline": headline(comparison),
        "warnings": list(comparison.warnings),
        "loads": [_load(point, comparison.rules) for point in comparison.points],
    }


def _load(point: PointChange, rules: Rules) -> dict[str, Any]:
    windows = {"base": point.windows[0], "new": point.windows[1]}
    figures = {change.figure.name: _figure(change, rules) for change in point.figures}
    failed = {"base": point.failed[0], "new": point.failed[1]}
    return {"load": point.label, "verdict": point.verdict, "windows": windows, "failed": failed, "figures": figures}


def _figure(change: FigureChange, rules: Rules) -> dict[str, Any]:
    ratio, told, limit = change.ratio, change.ratio.told, rules.max_regression
    said: dict[str, Any] = {
        "unit": change.figure.unit,
        "base": change.base,
        "new": change.new,
        "ratio": ratio.estimate if math.isfinite(ratio.estimate) else None,
        "low": ratio.low if told else None,
        "high": ratio.high if told else None,
        "verdict": change.verdict,
    }
    if limit is not None:
        said["regression"] = change.beyond(limit)
        said["undecided"] = change.undecided(rules)
        said["ruled_out"] = change.judged and change.within(limit)
    return said
