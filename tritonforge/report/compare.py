"""Two saved reports, point by point."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from tritonforge.errors import TritonForgeError
from tritonforge.load import Point, Report, Settings, Window
from tritonforge.load.codec import encode
from tritonforge.report.failing import ways_of_failing
from tritonforge.report.verdicts import Comparison, Rules, Windows, compare_points

__all__ = [
    "MeasuredTwice",
    "NothingInCommon",
    "OtherModels",
    "check_loads",
    "check_models",
    "compare_reports",
    "failed_share",
    "failures",
    "said_settings",
    "stalls",
    "windows_of",
]

_ONE = "base and new are one measurement: nothing can differ"
_TWO = (
    "saved reports of two runs: what changed on the machine between them is not in the intervals; "
    "compare two live servers for windows that take turns"
)


class NothingInCommon(TritonForgeError):
    """Two reports have no load in common."""

    def __init__(self, base: str, of_base: Sequence[str], new: str, of_new: Sequence[str]) -> None:
        super().__init__(
            f"no load is in both reports: {base} has {_few(of_base)}, {new} has {_few(of_new)}; "
            "measure both with the same --concurrency or --rate, over the same protocol"
        )


class OtherModels(TritonForgeError):
    """Two reports are of different models."""

    def __init__(self, base: str, of_base: Sequence[str], new: str, of_new: Sequence[str]) -> None:
        super().__init__(f"two models are not compared: {base} is of {_few(of_base)}, {new} of {_few(of_new)}")


class MeasuredTwice(TritonForgeError):
    """A report has a load more than once: which one is to be compared isn't known."""

    def __init__(self, name: str, load: str) -> None:
        super().__init__(
            f"{name} has {load} more than once, of several servers: which one to compare can't be told; "
            "measure each server by itself, or compare them live: tritonforge perf compare URL URL --model NAME"
        )


def check_models(base: Settings, new: Settings, names: tuple[str, str]) -> None:
    """Raise OtherModels where two measurements are of different models, or of a different mix."""
    ours, theirs = ([model.name for model in settings.models] for settings in (base, new))
    if sorted(ours) != sorted(theirs):
        raise OtherModels(names[0], ours, names[1], theirs)


def check_loads(base: Report, new: Settings, names: tuple[str, str]) -> None:
    """Raise NothingInCommon where none of the loads that are to be measured is in a report."""
    loads = [str(load) for load in new.loads]
    if not {str(point.load) for point in base.points} & set(loads):
        raise NothingInCommon(names[0], _loads(base), names[1], loads)


def compare_reports(base: Report, new: Report, *, names: tuple[str, str], rules: Rules | None = None) -> Comparison:
    """Compare the loads that two reports have in common, over the windows that their figures are made of.

    What differs between one run and the next is in neither report; the comparison's warnings say so, and name what is
    known to differ: the machine, versions, settings, loads. One measurement beside itself is the same.

    Raises:
        OtherModels: they are of different models.
        MeasuredTwice: one of them has a load more than once.
        NothingInCommon: there is no such load.
    """
    check_models(base.settings, new.settings, names)
    ours, theirs = (_by_load(report, name) for report, name in zip((base, new), names, strict=True))
    points: dict[str, tuple[Windows, Windows]] = {}
    failed: dict[str, tuple[float, float]] = {}
    both = {point.protocol for point in base.points}
    for name, point in ours.items():
        other = theirs.get(name)
        if other is not None:
            label = f"{point.load}, {point.protocol}" if len(both) > 1 else str(point.load)
            points[label] = (_measured(point), _measured(other))
            failed[label] = (failed_share([point]), failed_share([other]))
    if not points:
        raise NothingInCommon(names[0], _loads(base), names[1], _loads(new))
    return compare_points(
        points,
        base=names[0],
        new=names[1],
        rules=rules or Rules(),
        paired=False,
        one=base.points == new.points,
        failed=failed,
        warnings=_warnings(base, new, len(points)),
        settings=(said_settings(base.settings), said_settings(new.settings)),
    )


def failed_share(points: Sequence[Point]) -> float:
    """Give which share of a load's requests failed, or had no answer.

    Those without an answer were waited for at the end, and are older than every success: what is under way in the
    ordinary course isn't among them.
    """
    lost = sum(point.failed + point.unanswered for point in points)
    return lost / max(lost + sum(point.requests for point in points), 1)


def failures(whose: str, points: Iterable[Point]) -> list[str]:
    """Say how many requests failed, and in what way most of them did; nothing where none did."""
    ways: Counter[str] = Counter()
    succeeded = 0
    for point in points:
        ways.update(ways_of_failing(point))
        succeeded += point.requests
    if not ways:
        return []
    words, count = ways.most_common(1)[0]
    most = "all" if len(ways) == 1 else f"{count:,}"
    rest = "; figures are of those that succeeded" if succeeded else ""
    return [f"{ways.total():,} requests {whose} failed ({most}: {words}){rest}"]


def said_settings(settings: Settings) -> dict[str, Any]:
    """Give settings as JSON takes them, without headers, whose values may be secrets."""
    return {name: value for name, value in encode(settings).items() if name != "headers"}


def windows_of(windows: Sequence[Window]) -> Windows:
    """Give the figures of windows that are compared.

    One in which nothing ended counts as half a request, as slow as the window is long: a stall is no reason to leave
    it out. Where that is so of all of them, nothing was measured, and there are no figures.
    """
    if not any(window.throughput for window in windows):
        return {}
    return {
        "throughput": [window.throughput or 0.5 / window.duration_s for window in windows],
        "p50": [window.p50_us or window.duration_s * 1e6 for window in windows],
        "p99": [window.p99_us or window.duration_s * 1e6 for window in windows],
    }


def stalls(name: str, series: Iterable[Sequence[Window]]) -> list[str]:
    """Say how many windows had no answer, where others of their series had some: they are in the figures."""
    empty = [sum(not window.throughput for window in windows) for windows in series if windows_of(windows)]
    if not (count := sum(empty)):
        return []
    had = "window had no answer, and" if count == 1 else "windows had no answer, and each"
    return [f"{count:,} of {name}'s {had} counts as half a request, as slow as the window is long"]


def _loads(report: Report) -> list[str]:
    return [f"{point.load} ({point.protocol})" for point in report.points]


def _by_load(report: Report, name: str) -> dict[str, Point]:
    loads = _loads(report)
    twice = [load for load in loads if loads.count(load) > 1]
    if twice:
        raise MeasuredTwice(name, twice[0])
    return dict(zip(loads, report.points, strict=True))


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (" …" if len(names) > 4 else "") if names else "none"


def _measured(point: Point) -> Windows:
    return windows_of([window for window in point.windows if window.measured])


def _warnings(base: Report, new: Report, common: int) -> list[str]:
    told = [_ONE if base.points == new.points else _TWO]
    for what in ("hardware", "versions"):
        before, after = getattr(base.environment, what), getattr(new.environment, what)
        different = [f"{key} {before.get(key, '–')} → {after.get(key, '–')}" for key in sorted({*before, *after})
                     if before.get(key) != after.get(key)]  # fmt: skip
        if different:
            told.append(f"other {what}: {', '.join(different)}")
    before, after = _said(base.settings), _said(new.settings)
    changed = [f"{name} {before[name]} → {after[name]}" for name in before if before[name] != after[name]]
    if changed:
        told.append(f"other settings: {', '.join(changed)}")
    left_out = len(base.points) + len(new.points) - 2 * common
    if left_out:
        told.append(f"{left_out} load{'s are' if left_out > 1 else ' is'} in one report alone, and left out")
    for name, report in (("base", base), ("new", new)):
        told += failures(f"of the {name}", report.points)
        unanswered = sum(point.unanswered for point in report.points)
        if unanswered:
            told.append(f"{unanswered:,} requests of the {name} had no answer at the end; they are in no figure")
        told += stalls(f"the {name}", ([w for w in point.windows if w.measured] for point in report.points))
    return told


def _said(settings: Settings) -> dict[str, str]:
    """Give the settings that make another load of the same number."""
    models = sorted(settings.models, key=lambda model: model.name)
    said = {name: str(getattr(settings, name)) for name in ("arrivals", "burst", "body", "shared_memory")}
    for name in ("version", "weight", "batch_size", "sequence_length"):
        said[name] = ", ".join(str(getattr(model, name)) or "–" for model in models)
    said["data"] = ", ".join(model.data.source.partition(":")[0] for model in models)
    said["parameters"] = ", ".join(f"{name}={value!r}" for name, value in sorted(settings.parameters.items())) or "–"
    said["shapes"] = ", ".join(str(dict(model.data.shapes)) for model in models)
    return said
