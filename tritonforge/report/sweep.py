"""A scenario, measured: a sweep or a search on each of its URLs, as one report; and live servers compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing, nullcontext
from dataclasses import replace

from tritonforge.load import Load, Point, ProfileExport, Progress, Report, Session, Settings, find_max
from tritonforge.load import sweep as sweep_one
from tritonforge.load.address import parse_address
from tritonforge.load.observed.control import connect
from tritonforge.load.stopped import keeping
from tritonforge.report.compare import failed_share, failures, said_settings, stalls, windows_of
from tritonforge.report.interleave import take_turns
from tritonforge.report.options import BadOption, parse_share
from tritonforge.report.places import check_places
from tritonforge.report.refusals import giving_up
from tritonforge.report.rounds import keeping_rounds
from tritonforge.report.scenario import Scenario
from tritonforge.report.served import served
from tritonforge.report.verdicts import Comparison, Rules, compare_points

__all__ = ["compare_live", "sweep"]

_WARMUP_S = 0.1
"""Before each window of a server that takes turns: its queues fill, and the machine's caches are its own again."""


def sweep(
    scenario: Scenario,
    *,
    on_window: Progress | None = None,
    on_point: Progress | None = None,
    warn: Callable[[str], None] = lambda text: None,
    export: ProfileExport | None = None,
) -> Report:
    """Measure a scenario; several URLs, or both protocols of a repository, give the points of one report.

    `export`, which is in its block, gets every request's times; without it, the scenario's profile_export is written.

    Raises:
        BadOption: an option's value can't be used.
        Unwritable: a profile_export that isn't in `export` can't be written where it is wanted.
        InvalidLoad: the settings can't be carried out.
        LoadFailed: the server doesn't answer.
        SweepStopped: it failed, or all requests were refused, or SweepInterrupted, after something was measured; they
            have the report of that. So does a profile_export that couldn't be written, at the end.
        TritonForgeError: what the build or the server's start raise.
    """
    if scenario.find_max and not scenario.slo:
        raise BadOption("find_max", "a search needs an objective: --slo p99=5ms")
    if scenario.profile_export and export is None:
        check_places([("profile_export", "profile_export", scenario.profile_export)], scenario.inputs)
    measure = find_max if scenario.find_max else sweep_one
    tolerated = parse_share("max_errors", scenario.max_errors, all_too=True) if scenario.max_errors else 0.0
    watched = on_window if scenario.find_max or tolerated == 1 else giving_up(on_window)  # a search goes on from there
    scenario.settings("http://127.0.0.1")  # says what is wrong before a server is started
    own = ProfileExport(scenario.profile_export) if scenario.profile_export and export is None else None
    reports: list[Report] = []
    to_measure: list[str] = []
    with keeping(lambda found: _joined([*reports, *found], len(to_measure)) if reports or found else None):
        with served(scenario, warn=warn) as what, own or nullcontext():
            if scenario.find_max and len(what.urls) > 1:
                raise BadOption("find_max", "a search is on one URL and protocol")
            for url in what.urls[1:]:
                _ask(scenario.settings(url, what.dimensions, golden=what.repository))
            to_measure += what.urls
            for url in what.urls:
                settings = scenario.settings(url, what.dimensions, golden=what.repository)
                reports.append(measure(settings, on_window=watched, on_point=on_point, export=export or own))
        return _joined(reports, len(to_measure))


def _ask(settings: Settings) -> None:
    """Raise LoadFailed where no server answers: before minutes are spent on another one."""
    if all(load.request is not None for load in settings.models):
        return
    with closing(connect(parse_address(settings.url), settings.headers, settings.tls)) as control:
        control.server()


def _joined(reports: Sequence[Report], wanted: int) -> Report:
    """Make one report of those that there are, of as many as are wanted."""
    points = tuple(point for report in reports for point in report.points)
    complete = len(reports) == wanted and all(report.complete for report in reports)
    return replace(reports[0], points=points, complete=complete)


def compare_live(
    scenario: Scenario,
    *,
    pairs: int,
    rules: Rules,
    seed: int = 0,
    tell: Callable[[Load, int, int], None] = lambda *done: None,
) -> list[Comparison]:
    """Compare the first of the scenario's URLs with each of the others, in windows whose turns are drawn by a seed.

    `tell` hears of each round: the load, the rounds done, and all of them.

    Raises:
        BadOption: an option's value can't be used.
        InvalidLoad: the settings can't be carried out.
        LoadFailed: a server doesn't answer.
        CompareStopped: it failed, or CompareInterrupted, after a round; they have the comparisons of those.
    """
    urls = scenario.url
    settings = [replace(scenario.settings(url), warmup_s=_warmup(scenario), server_statistics=False) for url in urls]
    taken: dict[str, list[list[Point]]] = {}
    with keeping_rounds(lambda: _compared(settings, taken, rules)):
        with ExitStack() as stack:
            sessions = [stack.enter_context(Session(each)) for each in settings]
            for load in settings[0].loads:
                _measure_all(sessions, load)  # what a server does once, at its first requests, is no server's figure
                take_turns(
                    [_measurer(session, load) for session in sessions],
                    rounds=pairs,
                    seed=seed,
                    tell=lambda done, whole, load=load: tell(load, done, whole),  # type: ignore[misc]
                    windows=taken.setdefault(str(load), []),
                )
        return _compared(settings, taken, rules)


def _compared(settings: Sequence[Settings], taken: Mapping[str, list[list[Point]]], rules: Rules) -> list[Comparison]:
    """Compare the rounds that are whole; give nothing where there are none."""
    urls = [each.url for each in settings]
    rounds = {label: min(map(len, sides), default=0) for label, sides in taken.items()}
    whole = {label: [side[: rounds[label]] for side in sides] for label, sides in taken.items() if rounds[label]}
    windows = {label: [[point.windows[-1] for point in side] for side in sides] for label, sides in whole.items()}
    failed = [
        failures(f"to {url}", (point for sides in whole.values() for point in sides[index]))
        for index, url in enumerate(urls)
    ]
    stalled = [stalls(url, (sides[index] for sides in windows.values())) for index, url in enumerate(urls)]
    points = {label: [windows_of(side) for side in sides] for label, sides in windows.items()}
    shares = {label: [failed_share(side) for side in sides] for label, sides in whole.items()}
    return [
        compare_points(
            {label: (sides[0], sides[index]) for label, sides in points.items()},
            base=urls[0],
            new=urls[index],
            rules=rules,
            paired=True,
            failed={label: (sides[0], sides[index]) for label, sides in shares.items()},
            warnings=[
                *_itself(urls[0], urls[index]),
                *failed[0],
                *failed[index],
                *stalled[0],
                *stalled[index],
            ],
            settings=(said_settings(settings[0]), said_settings(settings[index])),
        )
        for index in range(1, len(urls))
        if points
    ]


def _itself(base: str, new: str) -> list[str]:
    if parse_address(base) != parse_address(new):
        return []
    return [f"{new} is compared with itself: what differs is what measuring varies by"]


def _warmup(scenario: Scenario) -> float:
    return _WARMUP_S if scenario.warmup is None else scenario.warmup


def _measure_all(sessions: Sequence[Session], load: Load) -> list[Point]:
    return [session.measure(load, windows=1) for session in sessions]


def _measurer(session: Session, load: Load) -> Callable[[], Point]:
    return lambda: session.measure(load, windows=1)
