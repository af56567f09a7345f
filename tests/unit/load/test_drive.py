"""When requests are given up, and what their times are: by a clock that the tests turn."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import pytest

from tritonforge.load.figures.merge import merge_tallies
from tritonforge.load.figures.recorder import Recorder
from tritonforge.load.input.answers import Answers
from tritonforge.load.links.lane import Lane
from tritonforge.load.pacing.clock import NS
from tritonforge.load.pacing.drive import Drive
from tritonforge.load.workers.job import Job, Payload, Start, Tally, Target


class Clock:
    """An event loop's timers, and the time, which goes on from one to the next."""

    def __init__(self) -> None:
        self.now = NS
        self.timers: list[tuple[int, int, Clock.Timer]] = []
        self._numbers = count()

    class Timer:
        """What `call_later` gives."""

        def __init__(self, call: Callable[[], None]) -> None:
            self.call: Callable[[], None] | None = call

        def cancel(self) -> None:
            self.call = None

    def call_later(self, delay_s: float, call: Callable[..., None], *arguments: Any) -> Timer:
        timer = Clock.Timer(lambda: call(*arguments))
        self.timers.append((self.now + round(delay_s * NS), next(self._numbers), timer))
        return timer

    def run(self, until: int) -> None:
        while self.timers and min(self.timers)[0] <= until:
            at, _, timer = due = min(self.timers)
            self.timers.remove(due)
            self.now = at
            if timer.call is not None:
                timer.call()
        self.now = until


class Line:
    """A connection whose server answers once in a while, or never."""

    def __init__(self, sent: list[int], clock: Clock) -> None:
        self._sent, self._clock = sent, clock
        self.abandoned = False

    def send(self, lane: Lane, data: bytes) -> None:
        self._sent.append(self._clock.now)

    def abandon(self, lane: Lane) -> None:
        self.abandoned = True


@pytest.mark.parametrize("window_s", [0.05, 0.3, 5])
def test_a_request_is_given_up_when_that_is_due_and_the_next_one_follows_at_once(
    window_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, sent, tallies = Clock(), list[int](), list[Tally]()
    monkeypatch.setattr("tritonforge.load.pacing.drive.now_ns", lambda: clock.now)
    monkeypatch.setattr("tritonforge.load.pacing.drive.asyncio.get_running_loop", lambda: clock)
    job = Job(
        Target("127.0.0.1", 1),
        (Payload(b"x"),),
        window_ns=round(window_s * NS),
        max_windows=1 << 30,
        concurrency=2,
        ramp_s=0.15,  # the second one begins 75 ms after the first
        timeout_s=0.2,
    )
    recorder = Recorder(job.window_ns, tallies.append)

    def reconnect(lane: Lane) -> None:
        lane.link = Line(sent, clock)
        drive.connected(lane)

    drive = Drive(job, recorder, reconnect)
    drive.lanes = [Lane(), Lane()]
    for lane in drive.lanes:
        lane.link = Line(sent, clock)
    drive.start(Start(NS, NS))
    clock.run(2 * NS - 1)
    drive.stop()
    recorder.finish(clock.now)
    assert sorted(sent) == sorted(NS + NS // 1000 * (begun + turn * 200) for begun in (0, 75) for turn in range(5))
    assert sum(tally.errors.get("timeout", 0) for tally in tallies) == 8
    clock.run(9 * NS)
    assert len(sent) == 10, "nothing is given up after the end"


def test_what_had_no_answer_is_what_was_under_way_at_the_stop_and_still_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a sequence, which is sent after the stop, is no request of the load."""
    clock, sent = Clock(), list[int]()
    monkeypatch.setattr("tritonforge.load.pacing.drive.now_ns", lambda: clock.now)
    monkeypatch.setattr("tritonforge.load.pacing.drive.asyncio.get_running_loop", lambda: clock)
    parts = ((b"x", b""),) * 4
    sequence = Payload(b"", parts, sequence_length=3)
    drive = Drive(Job(Target("", 1), (sequence,), NS, 1, concurrency=3), Recorder(NS, id), lambda _: None)
    drive.lanes = [Lane() for _ in range(3)]
    for lane in drive.lanes:
        lane.link = Line(sent, clock)
    drive.start(Start(NS, NS))
    clock.run(2 * NS)
    drive.stop()
    clock.run(3 * NS)
    drive.ended(drive.lanes[0], "", b"")
    drive.lost(drive.lanes[1], "gone")
    drive.stop()
    assert len(sent) == 4
    assert drive.under_way
    assert drive.unanswered(clock.now) == (2 * NS,)
    assert drive.failed_at_end == ["connection: gone"]


def test_the_timeout_holds_after_the_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """What reaches it has failed; the end of a sequence, sent after the stop, is given up without being counted."""
    clock, sent = Clock(), list[int]()
    monkeypatch.setattr("tritonforge.load.pacing.drive.now_ns", lambda: clock.now)
    monkeypatch.setattr("tritonforge.load.pacing.drive.asyncio.get_running_loop", lambda: clock)
    sequence = Payload(b"", ((b"x", b""),) * 4, sequence_length=3)
    job = Job(Target("", 1), (sequence,), NS, 1, concurrency=2, timeout_s=0.3)
    drive = Drive(job, Recorder(NS, id), lambda _: None)
    lines = [Line(sent, clock), Line(sent, clock)]
    drive.lanes = [Lane(), Lane()]
    for lane, line in zip(drive.lanes, lines, strict=True):
        lane.link = line
    drive.start(Start(NS, NS))
    clock.run(NS + NS // 10)
    drive.stop()
    drive.ended(drive.lanes[0], "", b"")
    for tenths, given_up in ((2, 0), (3, 1), (4, 2)):
        clock.run(NS + tenths * NS // 10)
        drive.lapse()
        assert sum(line.abandoned for line in lines) == given_up
    assert drive.failed_at_end == ["timeout: no answer within 0.3 s"]
    assert (len(sent), drive.under_way, drive.unanswered(clock.now)) == (3, False, ())


def test_requests_that_are_answered_are_not_looked_at_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A timer for each would cost more than the request."""
    clock, sent = Clock(), list[int]()
    monkeypatch.setattr("tritonforge.load.pacing.drive.now_ns", lambda: clock.now)
    monkeypatch.setattr("tritonforge.load.pacing.drive.asyncio.get_running_loop", lambda: clock)
    job = Job(Target("127.0.0.1", 1), (Payload(b"x"),), NS, 1 << 30, concurrency=1, timeout_s=0.2)
    drive = Drive(job, Recorder(NS, lambda _: None), lambda _: None)
    drive.lanes = [Lane()]
    drive.lanes[0].link = Line(sent, clock)
    drive.start(Start(NS, NS))
    timers = len(clock.timers)
    for _ in range(1000):
        clock.run(clock.now + NS // 100)
        drive.ended(drive.lanes[0], "", b"")
    assert len(sent) >= 1000
    assert len(clock.timers) <= timers


def test_the_time_in_which_an_answer_is_checked_is_no_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers come after 5 ms, and are checked for 45: both are counted, each in its place."""
    clock, sent, tallies, ms = Clock(), list[int](), list[Tally](), NS // 1000

    def check(*_: object, **__: object) -> str:
        clock.now += 45 * ms
        return ""

    monkeypatch.setattr("tritonforge.load.pacing.drive.now_ns", lambda: clock.now)
    monkeypatch.setattr("tritonforge.load.pacing.drive.asyncio.get_running_loop", lambda: clock)
    monkeypatch.setattr(Answers, "check", check)
    checked = Payload(b"x", expected={"y": np.zeros(1)})
    recorder = Recorder(NS, tallies.append)
    drive = Drive(Job(Target("", 1), (checked,), NS, 1, concurrency=1), recorder, lambda _: None)
    drive.lanes = [Lane()]
    drive.lanes[0].link = Line(sent, clock)
    drive.start(Start(NS, NS))
    clock.run(NS)
    for _ in range(10):
        clock.run(clock.now + 5 * ms)
        drive.ended(drive.lanes[0], "", b"")
    recorder.finish(clock.now)
    (tally,) = tallies
    assert sent == [NS + number * 50 * ms for number in range(11)]
    assert (tally.latency.count, tally.latency.minimum, tally.latency.maximum) == (10, 5 * ms, 5 * ms)
    assert (tally.duration_ns, tally.checking_ns) == (500 * ms, 450 * ms)


def test_what_is_lost_before_the_start_starts_with_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, sent = Clock(), list[int]()
    monkeypatch.setattr("tritonforge.load.pacing.drive.now_ns", lambda: clock.now)
    monkeypatch.setattr("tritonforge.load.pacing.drive.asyncio.get_running_loop", lambda: clock)

    def reconnect(lane: Lane) -> None:
        lane.link = Line(sent, clock)
        drive.connected(lane)

    drive = Drive(Job(Target("", 1), (Payload(b"x"),), NS, 1, concurrency=2), Recorder(NS, id), reconnect)
    drive.lanes = [Lane(), Lane()]
    for lane in drive.lanes:
        lane.link = Line(sent, clock)
    drive.lost(drive.lanes[1], "gone")
    assert sent == []
    drive.start(Start(2 * NS, 2 * NS))
    clock.run(3 * NS)
    assert sent == [2 * NS] * 2


@pytest.mark.parametrize("how", ["answered", "lost"])
def test_what_fails_of_a_mix_is_counted_by_its_model(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, tallies = Clock(), list[Tally]()
    monkeypatch.setattr("tritonforge.load.pacing.drive.now_ns", lambda: clock.now)
    monkeypatch.setattr("tritonforge.load.pacing.drive.asyncio.get_running_loop", lambda: clock)
    recorder = Recorder(NS, tallies.append)
    mix = (Payload(b"x", model="fast"), Payload(b"y", model="rare"))
    drive = Drive(Job(Target("", 1), mix, NS, 1, concurrency=2), recorder, lambda _: None)
    drive.lanes = [Lane(), Lane()]
    for lane in drive.lanes:
        lane.link = Line([], clock)
    drive.start(Start(NS, NS))
    clock.run(NS)
    if how == "lost":
        drive.lost(drive.lanes[1], "gone")
    else:
        drive.ended(drive.lanes[1], "connection: gone", b"")
    recorder.finish(clock.now + NS // 2)
    assert merge_tallies(tallies * 2).models == {"connection": {"rare": 2}}


@pytest.mark.parametrize("requests", [2, 3, 7])
def test_a_number_of_streams_has_all_of_their_responses_whatever_the_warm_up_left(
    requests: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two lanes with streams of three responses, 0.1 s apart; the windows begin amid one of each lane."""
    clock, sent, tallies, tenth = Clock(), list[int](), list[Tally](), NS // 10

    class Stream(Line):
        """A connection over which each request has three responses."""

        def send(self, lane: Lane, data: bytes) -> None:
            super().send(lane, data)
            for number in (1, 2, 3):
                clock.call_later(number / 10, drive.responded, lane)
            clock.call_later(0.3, drive.ended, lane, "", b"")

    monkeypatch.setattr("tritonforge.load.pacing.drive.now_ns", lambda: clock.now)
    monkeypatch.setattr("tritonforge.load.pacing.drive.asyncio.get_running_loop", lambda: clock)
    recorder = Recorder(60 * NS, tallies.append, from_first=True)
    job = Job(Target("", 1), (Payload(b"x"),), 60 * NS, 1 << 30, concurrency=2, requests=requests, ramp_s=0.2)
    drive = Drive(job, recorder, lambda _: None)
    drive.lanes = [Lane(), Lane()]
    for lane in drive.lanes:
        lane.link = Stream(sent, clock)
    drive.start(Start(NS, 2 * NS + tenth // 2))
    clock.run(30 * NS)
    tally = tallies[-1]
    assert (tally.latency.count, tally.first.count, tally.between.count) == (requests, requests, 2 * requests)
    counted = [at for at in sent if at >= 2 * NS + tenth // 2]
    assert len(counted) == requests
    assert tally.duration_ns == max(counted) + 3 * tenth - min(counted)


@pytest.mark.parametrize("how", ["refused", "lost", "late"])
def test_a_sequence_that_lost_a_request_is_ended_uncounted_before_the_next_begins(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its place in the server would be held until that drops it, and the next sequences wait."""
    clock, tallies, sent = Clock(), list[Tally](), list[bytes]()

    class Wire(Line):
        """A connection that notes what is sent."""

        def send(self, lane: Lane, data: bytes) -> None:
            sent.append(data)

    def reconnect(lane: Lane) -> None:
        lane.link = Wire([], clock)
        drive.connected(lane)

    monkeypatch.setattr("tritonforge.load.pacing.drive.now_ns", lambda: clock.now)
    monkeypatch.setattr("tritonforge.load.pacing.drive.asyncio.get_running_loop", lambda: clock)
    sequence = Payload(b"", tuple((part, b"") for part in (b"first ", b"amid ", b"last ", b"only ")), sequence_length=4)
    job = Job(Target("", 1), (sequence,), 60 * NS, 1, concurrency=1, requests=5, timeout_s=2)
    recorder = Recorder(job.window_ns, tallies.append)
    drive = Drive(job, recorder, reconnect)
    drive.lanes = [lane := Lane()]
    lane.link = Wire([], clock)
    drive.start(Start(NS, NS))
    clock.run(NS)
    drive.ended(lane, "", b"")
    if how == "refused":
        drive.ended(lane, "HTTP 500: no", b"")
    elif how == "lost":
        drive.lost(lane, "gone")
    else:
        clock.run(clock.now + 2 * NS)
    assert drive.under_way
    assert list(recorder.under_way()) == [], "the end of a sequence is none of the load's"
    for _ in range(4):
        clock.run(clock.now + NS // 5)
        drive.ended(lane, "", b"")
    (tally,) = tallies
    numbers = [data.split()[1] for data in sent]
    assert [data.split()[0] for data in sent] == [b"first", b"amid", b"last", b"first", b"amid", b"amid"]
    assert numbers == [numbers[0]] * 3 + [numbers[3]] * 3
    assert numbers[0] != numbers[3]
    assert (tally.latency.count, sum(tally.errors.values())) == (4, 1)
