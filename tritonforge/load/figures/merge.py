"""The tallies of all processes as windows, and windows as the figures of a point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from tritonforge.load.figures.estimates import pool, pooled_rate, summarize
from tritonforge.load.figures.histogram import Histogram
from tritonforge.load.figures.objectives import good_limit_us, missed
from tritonforge.load.pacing.punctuality import due_rate, lateness, shortfall
from tritonforge.load.results import Errors, Generator, Latency, Point, Window
from tritonforge.load.settings import Load, Settings
from tritonforge.load.workers.job import Tally

__all__ = ["coalesce", "joined", "make_point", "merge_tallies"]

_BUSY = 0.9
_WAITED = 0.2
_CHECKED = 0.05
_SHARES = ("cpu_ns", "waited_ns", "checking_ns")


def merge_tallies(tallies: Sequence[Tally]) -> Tally:
    """Join what several processes, or windows, counted; shares of the time are those of the busiest process."""
    merged = Tally(min(tally.index for tally in tallies))
    merged.lead_ns = max(tally.lead_ns for tally in tallies)
    merged.duration_ns = merged.lead_ns + max(tally.duration_ns - tally.lead_ns for tally in tallies)
    for name in ("latency", "uncorrected", "late", "first", "between"):
        setattr(merged, name, pool([getattr(tally, name) for tally in tallies]))
    for tally in tallies:
        for kind, count in tally.errors.items():
            merged.errors[kind] = merged.errors.get(kind, 0) + count
        for bound, count in tally.overdue.items():
            merged.overdue[bound] = merged.overdue.get(bound, 0) + count
        merged.examples = tally.examples | merged.examples
        for kind, models in tally.models.items():
            whole = merged.models.setdefault(kind, {})
            for model, count in models.items():
                whole[model] = whole.get(model, 0) + count
    for name in _SHARES:
        setattr(merged, name, max(getattr(tally, name) for tally in tallies))
    for name in ("held_back", "sent", "sending_ns", "received", "receiving_ns"):
        setattr(merged, name, sum(getattr(tally, name) for tally in tallies))
    return merged


def coalesce(windows: list[Tally], limit: int) -> list[Tally]:
    """Join neighbours in pairs where there are more windows than `limit`: memory stays bounded."""
    if len(windows) <= limit:
        return windows
    return [joined(windows[place : place + 2]) for place in range(0, len(windows), 2)]


def joined(windows: Sequence[Tally]) -> Tally:
    """Make one window of some that follow each other."""
    merged = merge_tallies(windows)
    merged.lead_ns = windows[0].lead_ns
    merged.duration_ns = sum(tally.duration_ns for tally in windows)
    for name in _SHARES:
        setattr(merged, name, sum(getattr(tally, name) for tally in windows))
    return merged


def make_point(
    load: Load,
    settings: Settings,
    windows: Sequence[Tally],
    measured: int,
    *,
    agreed: bool | None,
    unanswered_ns: Sequence[int] = (),
    failed_after: Mapping[str, int] = MappingProxyType({}),
) -> Point:
    """Make the figures of the last `measured` windows; the server's side is put in by the caller.

    `agreed` is whether these windows did; None where that wasn't asked.
    `unanswered_ns` are the ages of requests that had no answer at the end, though it was waited for. Those that are
    older than every success count: others may be slow alone. `failed_after` are, by their kind,
    the errors that came in that wait.
    """
    last = windows[-measured:]
    durations = [tally.duration_ns / 1e9 for tally in last]
    counts = [float(tally.latency.count) for tally in last]
    inferences = [float(tally.latency.count * batch_size(settings)) for tally in last]
    rate = pooled_rate(counts, durations)
    latency = summarize([tally.latency for tally in last])
    errors, after = _errors(last, failed_after), sum(failed_after.values())
    limit = good_limit_us(settings.slo)
    unanswered = [age for age in unanswered_ns if age > latency.histogram.maximum]
    overdue = merge_tallies(last).overdue
    failed = sum(error.count for error in errors) - after
    unmet = missed(settings.slo, latency, failed, len(unanswered) + after, overdue)
    good = [tally.latency.share_below(limit * 1e3) * tally.latency.count for tally in last] if limit else []
    point = Point(
        load=load,
        protocol=settings.protocol,
        stable=agreed if latency.count else False,
        windows=_windows(windows, measured, settings),
        throughput=pooled_rate(inferences, durations),
        request_rate=rate,
        latency=latency,
        latency_uncorrected=summarize([tally.uncorrected for tally in last]),
        errors=errors,
        generator=_generator(load, settings, last, latency, due_rate(load, settings, windows, measured)),
        first_response=_stream([tally.first for tally in last]),
        between_responses=_stream([tally.between for tally in last]),
        goodput=pooled_rate(good, durations) if limit else None,
        slo_met=not unmet if settings.slo else None,
        slo_missed=unmet,
        in_flight=rate.value * latency.mean_us.value / 1e6,
        client_send_us=_mean_us(last, "sending_ns", "sent"),
        client_receive_us=_mean_us(last, "receiving_ns", "received"),
        unanswered=len(unanswered),
        unanswered_s=max(unanswered, default=0) / 1e9,
        failed_after=after,
        overdue={slo.statistic: count for slo in settings.slo if (count := overdue.get(slo.limit_ns, 0)) > 0},
    )
    if due := shortfall(point, settings):
        short = f"{point.requests:,} of the {due:,} requests that were due succeeded"
        warnings = (*point.generator.warnings, short)
        point = replace(point, short_of=due, generator=replace(point.generator, warnings=warnings))
    if not (point.silent and settings.slo):
        return point
    return replace(point, slo_met=False, slo_missed=tuple(slo.statistic for slo in settings.slo))


def _mean_us(windows: Sequence[Tally], time: str, count: str) -> float | None:
    """Give a mean over the requests that were looked at; None where none was."""
    counted = sum(getattr(tally, count) for tally in windows)
    return sum(getattr(tally, time) for tally in windows) / counted / 1e3 if counted else None


def batch_size(settings: Settings) -> float:
    """Give the mean batch size of the mix."""
    weight = sum(model.weight for model in settings.models)
    return sum(model.weight * model.batch_size for model in settings.models) / weight


def _windows(windows: Sequence[Tally], measured: int, settings: Settings) -> tuple[Window, ...]:
    found, start = [], 0.0
    for place, tally in enumerate(windows):
        duration, histogram = tally.duration_ns / 1e9, tally.latency
        inferences = histogram.count * batch_size(settings)
        percentiles = {f"p{str(p).replace('.', '')}_us": histogram.percentile(p) / 1e3 for p in (50, 90, 95, 99, 99.9)}
        found.append(
            Window(
                start,
                duration,
                histogram.count,
                round(inferences),
                sum(tally.errors.values()),
                inferences / duration if duration else 0.0,
                histogram.mean / 1e3,
                measured=place >= len(windows) - measured,
                **percentiles,
            )
        )
        start += duration
    return tuple(found)


def _errors(windows: Sequence[Tally], after: Mapping[str, int]) -> tuple[Errors, ...]:
    merged = merge_tallies(windows)
    order = sorted(merged.errors.items(), key=lambda item: -item[1])
    return tuple(
        Errors(kind, count, merged.examples.get(kind, ""), merged.models.get(kind, {}), after.get(kind, 0))
        for kind, count in order
    )


def _stream(histograms: Sequence[Histogram]) -> Latency | None:
    summary = summarize(histograms)
    return summary if summary.count else None


def _generator(load: Load, settings: Settings, windows: Sequence[Tally], latency: Latency, due: float) -> Generator:
    duration_ns = max(sum(tally.duration_ns for tally in windows), 1)
    share = sum(tally.cpu_ns for tally in windows) / duration_ns
    # What a process waited until it could close a window counts in that one, though it began before.
    waited = min(sum(tally.waited_ns for tally in windows) / duration_ns, max(1 - share, 0.0))
    checking = min(sum(tally.checking_ns for tally in windows) / duration_ns, 1.0)
    late = summarize([tally.late for tally in windows])
    held = sum(tally.held_back for tally in windows)
    said = []
    if share > _BUSY:
        said.append(
            f"the generator's busiest process takes {share:.0%} of a core: it may be the bottleneck; "
            f"processes={settings.processes + 1} may give more"
        )
    elif waited > max(share, _WAITED):
        said.append(
            f"the generator waited {waited:.0%} of the time for a processor, and ran {share:.0%}: others, such as a "
            "server on this machine, took them all; that is in the latencies"
        )
    if checking > _CHECKED:
        said.append(
            f"checking answers took {checking:.0%} of the generator's time: nothing is sent amid that, so that the "
            "rate may be less, and an answer that comes amid it is timed after it; measure without checking beside this"
        )
    if load.kind != "concurrency":
        said.append(
            f"{held:,} request{' was' if held == 1 else 's were'} due while all of {settings.max_in_flight} "
            "(max_in_flight) were under way, or without a connection: sent late, or not at all"
            if held
            else lateness(late, latency, windows)
        )
    return Generator(settings.processes, share, late, tuple(filter(None, said)), due, checking)
