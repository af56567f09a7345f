"""An open loop's latencies against a queue worked out by hand: so many servers, first come, first served."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonforge.load.figures.histogram import Histogram
from tritonforge.load.figures.merge import merge_tallies
from tritonforge.load.figures.recorder import Recorder
from tritonforge.load.links.lane import Lane
from tritonforge.load.pacing import drive as driving
from tritonforge.load.pacing.drive import Drive
from tritonforge.load.pacing.schedule import Schedule
from tritonforge.load.workers.job import Job, Payload, Start, Tally, Target

MS = 1_000_000
START = 5 * MS
BOUNDS = (1 * MS, 10 * MS, 35 * MS)


class Simulation:
    """A clock that jumps to what happens next: an alarm, or the end of a request, which takes a given time."""

    def __init__(self, services: list[int]) -> None:
        self.now = START
        self.fd = -1
        self._services = iter(services)
        self._under_way: list[tuple[int, int, Lane]] = []
        self._alarm = 0
        self._ring: Callable[[], None] | None = None

    def run(self, drive: Drive, start: Start) -> None:
        """Let everything happen."""
        drive.start(start)
        while not drive.done.is_set():
            ends = self._under_way[0][0] if self._under_way else 1 << 62
            if self._alarm and self._alarm < ends:
                self.now, self._alarm = self._alarm, 0
                assert self._ring is not None
                self._ring()
            else:
                self.now, _, lane = heapq.heappop(self._under_way)
                drive.ended(lane, "", b"")

    def send(self, lane: Lane, data: bytes) -> None:
        """Be the link: the request ends after its time."""
        service = next(self._services)
        heapq.heappush(self._under_way, (self.now + service, id(lane), lane))

    def abandon(self, lane: Lane) -> None:
        """Be the link."""

    def set(self, when_ns: int) -> None:
        """Be the alarm."""
        self._alarm = when_ns

    def acknowledge(self) -> None:
        """Be the alarm."""

    def close(self) -> None:
        """Be the alarm."""

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        """Be the event loop."""
        self._ring = callback

    def remove_reader(self, fd: int) -> None:
        """Be the event loop."""

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Simulation:
        """Be the event loop, in which nothing takes so long that it would be given up; and its timer."""
        return self

    def cancel(self) -> None:
        """Be the timer."""


def measured(times_ms: list[int], services: list[int], places: int) -> list[Tally]:
    """Run the drive over simulated requests; give what was counted in each window."""
    schedule = Schedule(1, times_s=tuple(time / 1000 for time in times_ms))
    return simulated(schedule, services, places)


def simulated(schedule: Schedule, services: list[int], places: int, lead: int = 0, **options: int) -> list[Tally]:
    """Run the drive over requests that take so long, whose windows begin after a lead."""
    simulation = Simulation(services)
    job = Job(
        *(Target("", 0), (Payload(b""),), 20 * MS, 1 << 30),
        schedule=schedule,
        max_in_flight=places,
        **options,  # type: ignore[arg-type]
    )
    tallies: list[Tally] = []
    recorder = Recorder(20 * MS, tallies.append, bounds_ns=BOUNDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(driving, "now_ns", lambda: simulation.now)
        patch.setattr(driving, "Alarm", lambda: simulation)
        patch.setattr(asyncio, "get_running_loop", lambda: simulation)
        drive = Drive(job, recorder, lambda lane: None)
        drive.lanes = [Lane() for _ in range(places)]
        for lane in drive.lanes:
            lane.link = simulation
        simulation.run(drive, Start(START, START + lead))
    return tallies


def by_hand(times_ms: list[int], services: list[int], places: int) -> list[tuple[int, int, int]]:
    """Give when each request was due, started and ended: it takes the place that is free first."""
    free = [START] * places
    found = []
    for time, service in zip(sorted(times_ms), services, strict=True):
        due = START + time * MS
        start = max(due, heapq.heappop(free))
        heapq.heappush(free, start + service)
        found.append((due, start, start + service))
    return found


def same(found: Histogram, values: list[int]) -> bool:
    """Compare all but the last bits of the sum of squares, which depend on the order."""
    wanted = Histogram.of(values)
    assert found.squares == pytest.approx(wanted.squares)
    return replace(found, squares=0.0) == replace(wanted, squares=0.0)


REQUESTS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 30 * MS)), min_size=1, max_size=40)


@given(REQUESTS, st.integers(1, 4))
def test_latency_counts_from_the_intended_start_however_long_requests_wait(
    requests: list[tuple[int, int]], places: int
) -> None:
    times, services = [time for time, _ in requests], [service for _, service in requests]
    tally = merge_tallies(measured(times, services, places))
    expected = by_hand(times, services, places)
    assert same(tally.latency, [end - due for due, _, end in expected])
    assert same(tally.uncorrected, [end - start for _, start, end in expected])
    assert same(tally.late, [start - due for due, start, _ in expected])
    assert tally.held_back == sum(start > due for due, start, _ in expected)


@given(REQUESTS, st.integers(1, 4))
def test_each_request_that_passes_a_bound_counts_in_the_window_in_which_it_does(
    requests: list[tuple[int, int]], places: int
) -> None:
    """As one that ended, or by the growth of those under way: once, whether it ends within the windows or not."""
    times, services = [time for time, _ in requests], [service for _, service in requests]
    expected = by_hand(times, services, places)
    start = START
    tallies = measured(times, services, places)
    for tally in tallies:
        end = start + tally.duration_ns
        last = tally is tallies[-1]  # the run is over with a request's end, which belongs to the window
        for bound in BOUNDS:
            ended = sum(start <= at < end + last and at - due > bound for due, _, at in expected)
            passed = sum(start <= due + bound < end and at > due + bound for due, _, at in expected)
            assert ended + tally.overdue[bound] == passed
        start = end


@pytest.mark.parametrize("lead_ms", [0, 200, 223])
@pytest.mark.parametrize("service_ms", [1, 45, 170])
@pytest.mark.parametrize(("requests", "burst"), [(2, 1), (10, 1), (10, 10), (40, 10), (15, 5)])
def test_so_many_requests_of_a_rate_have_as_many_gaps(lead_ms: int, service_ms: int, requests: int, burst: int) -> None:
    """Each has that which follows it, whenever the windows begin; at the start of a load, answers come later."""
    schedule = Schedule(100, burst=burst)
    tallies = simulated(schedule, [service_ms * MS] * 1000, 900, lead_ms * MS, requests=requests)
    wanted, last = requests * 10, (requests - burst) * 10 + service_ms
    assert sum(tally.latency.count for tally in tallies) == requests
    assert sum(tally.duration_ns for tally in tallies) == MS * (wanted if lead_ms else max(wanted, last))


@pytest.mark.parametrize("parts", [2, 3])
@pytest.mark.parametrize(("requests", "burst"), [(4, 1), (10, 10), (35, 5)])
def test_processes_share_the_gaps_of_so_many_requests(requests: int, burst: int, parts: int) -> None:
    found = []
    for part in range(parts):
        share = len(range(part, requests, parts))
        tallies = simulated(Schedule(100, burst=burst), [MS] * 100, 90, requests=share, part=part, parts=parts)
        found.append(sum(tally.duration_ns for tally in tallies))
    assert max(found) == requests * 10 * MS


def test_a_server_that_is_too_slow_has_no_more_time_than_it_takes() -> None:
    tallies = simulated(Schedule(1000), [10 * MS] * 100, 1, requests=10)
    assert sum(tally.duration_ns for tally in tallies) == 100 * MS


@given(REQUESTS, st.integers(1, 40))
def test_given_times_that_are_cut_short_end_with_the_gap_that_follows(
    requests: list[tuple[int, int]], count: int
) -> None:
    times = sorted(time for time, _ in requests)
    schedule = Schedule(1, times_s=tuple(time / 1000 for time in times))
    tallies = simulated(schedule, [MS // 2] * len(times), 40, times[0] * MS, requests=count)
    count = min(count, len(times))
    following = times[count] * MS if count < len(times) else 0
    ends = max(following, times[count - 1] * MS + MS // 2)
    assert sum(tally.duration_ns for tally in tallies) == ends - times[0] * MS
    assert sum(tally.latency.count for tally in tallies) == count
