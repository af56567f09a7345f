"""Whether a server became better or worse, from the windows of both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from tritonforge.report.longer import longer_words, times_as_long
from tritonforge.report.ratios import Ratio, paired_ratio, pairs_needed, unpaired_ratio

__all__ = ["FIGURES", "Comparison", "Figure", "FigureChange", "PointChange", "Rules", "Verdict", "compare_points"]

_PAIRED = (
    "new / base is the median of the pairs' own ratios; base and new are each the median of its windows, whose "
    "quotient is another where the machine changed in the meantime; they are left out where that says the opposite, "
    "and is more than {within:g} % from it"
)
_EQUAL = Ratio(1.0, 1.0, 1.0)
Verdict = Literal["same", "better", "worse", "unsure", "failing", "not judged", "not measured"]
Windows = Mapping[str, Sequence[float]]
"""The figures of each window of a point, by the figure's name."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of each window that is compared."""

    name: str
    label: str
    unit: str
    higher_is_better: bool


FIGURES = (
    Figure("throughput", "throughput", "/s", higher_is_better=True),
    Figure("p50", "p50 latency", "µs", higher_is_better=False),
    Figure("p99", "p99 latency", "µs", higher_is_better=False),
)


@dataclass(frozen=True, slots=True)
class Rules:
    """How sure a verdict must be.

    `confidence` is that of all verdicts of one comparison together: each of m intervals has 1 - (1 - confidence) / m
    (Bonferroni). A figure is the same where its whole interval is within `same_within` of the base: 0.03 is 3 %.

    Figures are of the requests that succeeded: where more than `max_errors` of a load's failed or had no answer, they
    aren't judged. Where `strict`, whatever isn't ruled out to be a regression beyond `max_regression` is undecided.
    """

    confidence: float = 0.99
    same_within: float = 0.03
    max_regression: float | None = None
    max_errors: float = 0.01
    strict: bool = False


@dataclass(frozen=True, slots=True)
class FigureChange:
    """One figure at one point: the ratio new / base with its interval, and each side's figure.

    That is the median over windows of live servers, the geometric mean of saved reports, as the ratio is.
    """

    figure: Figure
    base: float
    new: float
    ratio: Ratio
    verdict: Verdict

    def far_from_columns(self, within: float) -> bool:
        """Whether the sides' figures have another quotient than the ratio."""
        return abs(self.ratio.estimate * self.base / self.new - 1) > within

    @property
    def opposed(self) -> bool:
        """Whether they say better where the ratio says worse, or the other way round."""
        return (self.new - self.base) * (self.ratio.estimate - 1) < 0

    def contradicted(self, within: float) -> bool:
        """Whether they say the opposite, and not nearly the same: that is left out of a table."""
        return self.opposed and self.far_from_columns(within)

    @property
    def worsening(self) -> float:
        """How much worse the new one is, as a part of the base: 0.1 for 10 % more latency, or 10 % less throughput."""
        return 1 - self.ratio.estimate if self.figure.higher_is_better else self.ratio.estimate - 1

    @property
    def significantly_worse(self) -> bool:
        """Whether the whole interval is on the worse side."""
        return self.ratio.high < 1 if self.figure.higher_is_better else self.ratio.low > 1

    def beyond(self, limit: float) -> bool:
        """Whether it is significantly worse, and by more than a limit."""
        return self.judged and self.significantly_worse and self.worsening > limit

    def undecided(self, rules: Rules) -> bool:
        """Whether it can't be held against the limit: unsure, and worse by more as it looks, or where nothing is told.

        By strict rules, whether it is neither shown to be worse by more, nor surely not.
        """
        limit = rules.max_regression
        if limit is None or not self.judged:
            return False
        if rules.strict:
            return not (self.within(limit) or self.beyond(limit))
        return self.verdict == "unsure" and (not self.ratio.told or self.worsening > limit)

    @property
    def judged(self) -> bool:
        """Whether it has a verdict: not where too many of the load's requests failed."""
        return self.verdict != "not judged"

    def within(self, limit: float) -> bool:
        """Whether the whole interval is within a limit, so that it is surely not worse by more."""
        worst = 1 - self.ratio.low if self.figure.higher_is_better else self.ratio.high - 1
        return worst <= limit


@dataclass(frozen=True, slots=True)
class PointChange:
    """One load, such as concurrency 16: the change of each figure, and what they say together.

    `failed` is which share of each side's requests failed or had no answer.
    """

    label: str
    figures: tuple[FigureChange, ...]
    windows: tuple[int, int]
    failed: tuple[float, float] = (0.0, 0.0)
    max_errors: float = 1.0

    @property
    def verdict(self) -> Verdict:
        """Worse if any figure is, else better if any is, the same if all are, else unsure; none without figures.

        Failing where too many requests of the new one failed, and not judged where those of the base alone did.
        """
        if self.failed[1] > self.max_errors:
            return "failing"
        if not self.figures:
            return "not measured"
        if self.failed[0] > self.max_errors:
            return "not judged"
        found = {change.verdict for change in self.figures}
        for verdict in ("worse", "better"):
            if verdict in found:
                return verdict
        return "same" if found == {"same"} else "unsure"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The points that two runs, or two live servers, have in common."""

    base: str
    new: str
    points: tuple[PointChange, ...]
    rules: Rules
    paired: bool
    warnings: tuple[str, ...] = ()
    settings: tuple[Mapping[str, Any], Mapping[str, Any]] = ({}, {})
    """What the base and the new one were measured with, without headers, which may hold secrets."""

    @property
    def regressions(self) -> tuple[tuple[PointChange, FigureChange], ...]:
        """What is significantly worse by more than `max_regression`; nothing where no limit was set."""
        limit = self.rules.max_regression
        if limit is None:
            return ()
        return tuple((point, change) for point in self.points for change in point.figures if change.beyond(limit))

    @property
    def failing(self) -> tuple[PointChange, ...]:
        """The loads at which too many requests of the new one failed."""
        return tuple(point for point in self.points if point.verdict == "failing")

    @property
    def unjudged(self) -> tuple[PointChange, ...]:
        """The loads at which nothing succeeded on a side, or too many requests of the base failed."""
        return tuple(point for point in self.points if point.verdict in ("not measured", "not judged"))

    @property
    def undecided(self) -> tuple[tuple[PointChange, FigureChange], ...]:
        """What can't be held against `max_regression`; nothing where no limit was set."""
        return tuple(
            (point, change) for point in self.points for change in point.figures if change.undecided(self.rules)
        )


def compare_points(
    points: Mapping[str, tuple[Windows, Windows]],
    *,
    base: str,
    new: str,
    rules: Rules,
    paired: bool,
    one: bool = False,
    failed: Mapping[str, tuple[float, float]] = MappingProxyType({}),
    warnings: Sequence[str] = (),
    settings: tuple[Mapping[str, Any], Mapping[str, Any]] = ({}, {}),
) -> Comparison:
    """Compare each point's windows of the base and of the new one; a figure that either lacks is left out.

    `failed` is which share of a point's requests failed, of the base and of the new one. With `one`, both sides are one
    measurement: their ratio is 1 whatever the windows vary by.

    Raises:
        ValueError: paired series of different lengths, or a figure that is not positive.
    """
    tests = sum(len(_common(*sides)) for sides in points.values())
    confidence = 1 - (1 - rules.confidence) / max(tests, 1)
    changes = tuple(
        _compare_point(label, *sides, rules, _ratios(confidence, paired, one), paired, failed.get(label, (0.0, 0.0)))
        for label, sides in points.items()
    )
    told = [words for point in changes for words in _failures(point, (base, new))] + list(warnings)
    for label, sides in points.items():
        nothing = [name for name, side in zip((base, new), sides, strict=True) if not any(side.values())]
        told += [f"{label}: nothing succeeded of {name}, so that there is nothing to compare" for name in nothing]
    fewest = min((min(change.windows) for change in changes if change.figures), default=0)
    if paired and tests and fewest < pairs_needed(confidence):
        told.append(
            f"{fewest} pairs of windows can't tell a difference at this confidence over {tests} figures; "
            f"at least {pairs_needed(confidence)} are needed"
        )
    figures = [change for each in changes for change in each.figures]
    if paired and any(change.opposed or change.far_from_columns(rules.same_within) for change in figures):
        told.append(_PAIRED.format(within=rules.same_within * 100))
    told += longer_words(_unsure(changes, rules), paired=paired)
    return Comparison(base, new, changes, rules, paired, tuple(told), settings)


def _unsure(changes: Sequence[PointChange], rules: Rules) -> list[tuple[str, int | None]]:
    """Name what longer windows may tell: of a limit's figures those that can't be held against it."""
    return [
        (f"{change.figure.label} at {point.label}", times_as_long(change.ratio, rules.same_within))
        for point in changes
        for change in point.figures
        if change.verdict == "unsure" and (rules.max_regression is None or change.undecided(rules))
    ]


def _ratios(confidence: float, paired: bool, one: bool) -> Callable[[Sequence[float], Sequence[float]], Ratio]:
    """Give how the ratio of two series is told."""
    if one:
        return lambda base, new: _EQUAL
    return partial(paired_ratio if paired else unpaired_ratio, confidence=confidence)


def _compare_point(
    label: str,
    base: Windows,
    new: Windows,
    rules: Rules,
    compared: Callable[[Sequence[float], Sequence[float]], Ratio],
    paired: bool,
    failed: tuple[float, float],
) -> PointChange:
    changes = []
    judged = max(failed) <= rules.max_errors
    for figure in _common(base, new):
        before, after = base[figure.name], new[figure.name]
        ratio = compared(before, after)
        verdict = _verdict(ratio, figure, rules.same_within) if judged else "not judged"
        sides = [float(np.median(side) if paired else np.exp(np.mean(np.log(side)))) for side in (before, after)]
        changes.append(FigureChange(figure, sides[0], sides[1], ratio, verdict))
    counts = [max((len(side[figure.name]) for figure in _common(base, new)), default=0) for side in (base, new)]
    return PointChange(label, tuple(changes), (counts[0], counts[1]), failed, rules.max_errors)


def _failures(point: PointChange, names: tuple[str, str]) -> Iterator[str]:
    """Say of which side too many requests failed, but not all, which is said in other words."""
    for name, share in zip(names, point.failed, strict=True):
        if point.max_errors < share < 1:
            yield (
                f"{point.label}: {share * 100:.1f} % of the requests of {name} failed or had no answer, more than "
                f"{point.max_errors * 100:g} %; figures are of the others alone, and not judged"
            )


def _common(base: Windows, new: Windows) -> list[Figure]:
    return [figure for figure in FIGURES if base.get(figure.name) and new.get(figure.name)]


def _verdict(ratio: Ratio, figure: Figure, same_within: float) -> Verdict:
    if 1 - same_within <= ratio.low and ratio.high <= 1 + same_within:
        return "same"
    if ratio.low <= 1 <= ratio.high or not np.isfinite(ratio.estimate):
        return "unsure"
    return "better" if (ratio.low > 1) == figure.higher_is_better else "worse"
