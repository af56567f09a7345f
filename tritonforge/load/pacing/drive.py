"""When each request goes out, and what is noted of its end: closed and open loops over lanes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from itertools import count, islice

from tritonforge.load.figures.recorder import Recorder
from tritonforge.load.input.answers import Answers, NotAnAnswer, check_named
from tritonforge.load.links.lane import Lane
from tritonforge.load.links.varint import varint
from tritonforge.load.pacing.clock import NS, Alarm, now_ns
from tritonforge.load.pacing.schedule import intended_times, span_of
from tritonforge.load.workers.job import Job, Payload, Start

__all__ = ["Drive"]

_AT_ONCE = 1000
_WAITING = 1_000_000
_UNCOUNTED = -1
"""When a request was meant to start that is none of the load's."""
_SOONEST_S = 0.001
"""What an event loop's timers tell apart."""
Reconnect = Callable[[Lane], None]


class Drive:
    """Runs one job over connected lanes. `done` is set once it has stopped and nothing is under way."""

    def __init__(self, job: Job, recorder: Recorder, reconnect: Reconnect) -> None:
        self._job, self._recorder, self._reconnect = job, recorder, reconnect
        self._payloads = job.payloads
        self._turn = job.part % len(job.payloads)
        self._answers = Answers()
        self._closed = job.concurrency > 0
        self._left = -1 if job.requests is None else job.requests
        self._unsent = 0
        self._resting: set[Lane] = set()  # of a closed loop: those whose requests would be more than are asked for
        self._uncounted = 0
        self._counts_from = 0  # a closed loop's requests that start earlier belong to the warm-up, whenever they end
        self._load_ns = self._windows_ns = 0
        self._running = True
        self._exhausted = False
        self._idle: deque[Lane] = deque()
        self._begun: deque[Lane] = deque()  # idle amid a sequence
        self._asleep: list[Lane] = []  # of an open loop: whose connection was closed before anything was sent over it
        self._broken: set[Lane] = set()  # whose request has no answer, and the connection is gone
        self._due: deque[int] = deque()
        self._times: Iterator[int] = iter(())
        self._next = 0
        self._sequences = count(1_000_000_000 + job.part * 100_000_000)
        self._alarm: Alarm | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._unread = {payload.outputs for payload in job.payloads if payload.outputs and payload.expected is None}
        if self._unread:
            self.ended = self._first_ended  # type: ignore[method-assign] # so that later ends aren't asked
        recorder.under_way = self._open
        self._open_at_end: dict[Lane, int] = {}
        self.failed_at_end: list[str] = []
        """What ended the requests that were under way at the stop, but not by an answer."""
        self.lanes: list[Lane] = []
        self.done = asyncio.Event()

    def start(self, at: Start) -> None:
        """Begin: all lanes were connected."""
        job = self._job
        self._load_ns, self._windows_ns = at.load_ns, at.windows_ns
        self._recorder.begin(at.windows_ns)
        self._timer = asyncio.get_running_loop().call_later(job.timeout_s, self._give_up)
        if not self._closed:
            assert job.schedule is not None
            self._times = intended_times(job.schedule, job.part, job.parts)
            if job.requests is not None and (job.schedule.times_s or at.windows_ns <= at.load_ns):
                self._times = islice(self._times, job.requests)  # all of them are counted
            self._idle.extend(lane for lane in self.lanes if lane.link is not None)
            self._alarm = Alarm()
            asyncio.get_running_loop().add_reader(self._alarm.fd, self._ring)
            self._advance()
            return
        loop = asyncio.get_running_loop()
        wait_s = max(0.0, (at.load_ns - now_ns()) / NS)
        if job.requests is not None:
            warms_up = at.windows_ns > at.load_ns
            self._counts_from = at.windows_ns if warms_up else 0
            self._unsent = job.requests if warms_up else max(job.requests - len(self.lanes), 0)
            self._resting.update(self.lanes[job.requests :])
        for number, lane in enumerate(self.lanes):
            loop.call_later(wait_s + job.ramp_s * number / len(self.lanes), self._begin, lane)

    def stop(self) -> None:
        """Start no more. What is under way may end; it is not counted."""
        if self._running:
            self._open_at_end = {lane: lane.intended for lane in self._under_load()}
        self._running = False
        if self._timer is not None:
            self._timer.cancel()
        if self._alarm is not None:
            asyncio.get_running_loop().remove_reader(self._alarm.fd)
            self._alarm.close()
            self._alarm = None
        self.done.set()

    @property
    def under_way(self) -> bool:
        """Whether an answer is still to come."""
        return any(lane.busy and lane.link is not None for lane in self.lanes)

    def unanswered(self, now: int) -> tuple[int, ...]:
        """Give the ages of the requests that were under way at the stop, and still are."""
        return tuple(now - at for lane, at in self._open_at_end.items() if lane.busy and lane.intended == at)

    def lapse(self) -> None:
        """Give up, after the stop, what has no answer within the timeout."""
        latest = now_ns() - int(self._job.timeout_s * NS)
        for lane in self.lanes:
            if lane.busy and lane.link is not None and lane.started <= latest:
                self._fail_at_end(lane, self._timed_out)
                link, lane.link = lane.link, None
                link.abandon(lane)

    def _fail_at_end(self, lane: Lane, error: str) -> None:
        if self._open_at_end.get(lane) == lane.intended:
            self.failed_at_end.append(error)
        lane.busy = False

    @property
    def _timed_out(self) -> str:
        return f"timeout: no answer within {self._job.timeout_s:g} s"

    def _open(self) -> Iterator[int]:
        """Give when each request was meant to start that is under way, or due and not sent yet."""
        yield from (lane.intended for lane in self._under_load())
        yield from self._due

    def _under_load(self) -> Iterator[Lane]:
        return (lane for lane in self.lanes if lane.busy and lane.intended != _UNCOUNTED)

    def close_sequences(self) -> None:
        """End, uncounted, what a stop left open: the server has room for some sequences, and drops them late."""
        for lane in self.lanes:
            if not lane.busy:
                self._close_sequence(lane)

    def _close_sequence(self, lane: Lane) -> None:
        payload = lane.payload
        if payload is not None and lane.link is not None and self._amid(lane):
            lane.sent = payload.sequence_length - 1
            self._send(lane, _UNCOUNTED)
            lane.started = now_ns()

    def responded(self, lane: Lane) -> None:
        """Take note of one response of a stream."""
        now = now_ns()
        if self._running and lane.intended >= self._counts_from:
            self._recorder.add_response(lane, now)
        lane.last = now

    def ended(self, lane: Lane, error: str, body: bytes | bytearray | memoryview) -> None:
        """Take note of the end of a request, and start the lane's next."""
        now = free = now_ns()
        if not self._running:
            lane.busy = False
            self._close_sequence(lane)
            return
        recorder = self._recorder
        if now >= recorder.edge:
            recorder.roll(now)
        lane.busy = False
        payload = lane.payload
        if payload is not None and payload.expected is not None and not error:
            error = self._answers.check(payload, body, grpc=bool(self._job.target.method))
            free = now_ns()  # the time of checking is no request's
            recorder.add_check(free - now)
        if error:
            self._failed(lane, error)
        elif lane.intended >= self._counts_from:
            recorder.add(lane, now)
        if (self._left > 0 or self._exhausted) and self._spent(lane, now):
            if self._running:  # the others may wait for its sequence's place
                self._close_sequence(lane)
            return
        if error and self._gives_up(lane):
            return
        if self._closed:
            self._send(lane, free)
        elif self._due and lane.link is not None:
            self._send(lane, self._due.popleft())
        else:
            self._rest(lane)

    def _gives_up(self, lane: Lane) -> bool:
        """End a sequence that lost a request, and tell whether that is under way: no use in going on with it."""
        self._close_sequence(lane)
        if not lane.busy:
            lane.payload = None
        return lane.busy

    @staticmethod
    def _amid(lane: Lane) -> bool:
        """Tell whether a lane's sequence is open: one that is to send no more is connected anew to end it."""
        return lane.payload is not None and 0 < lane.sent < lane.payload.sequence_length

    def _first_ended(self, lane: Lane, error: str, body: bytes | bytearray | memoryview) -> None:
        """Look at the first answer of each model, whatever else is checked: an error may have the status 200."""
        payload = lane.payload
        if not error and payload is not None and payload.outputs in self._unread:
            self._unread.remove(payload.outputs)
            try:
                # A sequence may have nothing to say before its end.
                check_named(bytes(body), payload.outputs, none_too=payload.sequence_length > 0)
            except NotAnAnswer:
                lane.busy = False
                self.stop()
                raise
        if not self._unread:
            del self.ended
        type(self).ended(self, lane, error, body)

    def lost(self, lane: Lane, reason: str) -> None:
        """Count the lane's request as failed, and connect it anew; one that nobody needed, when it is needed."""
        lane.link = None
        if self._running:
            if lane.busy:
                self.tick()
                lane.busy = False
                self._failed(lane, f"connection: {reason}")
                self._broken.add(lane)
                if self._spent(lane, now_ns()) and not self._amid(lane):
                    return
            for idle in (self._idle, self._begun):
                if lane in idle:
                    idle.remove(lane)
            if lane.used or self._closed or self._job.target.method:
                self._reconnect(lane)
            else:
                self._asleep.append(lane)
        elif lane.busy:
            self._fail_at_end(lane, f"connection: {reason}")

    def connected(self, lane: Lane) -> None:
        """Go on with a lane that was lost."""
        lane.used = False
        if not self._running or not self._load_ns:  # else it starts with the others
            return
        if lane in self._broken:
            self._broken.remove(lane)
            if self._gives_up(lane):
                return
        if self._closed:
            self._begin(lane)
        elif self._due:
            self._send(lane, self._due.popleft())
        else:
            self._rest(lane)

    def tick(self) -> None:
        """Close windows in which nothing ended."""
        now = now_ns()
        if now >= self._recorder.edge:
            self._recorder.roll(now)

    def _give_up(self) -> None:
        """Give up the requests that take too long, and come again when the next one would.

        None that begins from now on is due before those that are under way, so that a request costs no timer.
        """
        now, timeout = now_ns(), int(self._job.timeout_s * NS)
        self.tick()
        for lane in self.lanes:
            if lane.busy and lane.started <= now - timeout and self._running:
                lane.busy = False
                self._failed(lane, self._timed_out)
                self._broken.add(lane)
                link, lane.link = lane.link, None
                if link is not None:
                    link.abandon(lane)
                if not self._spent(lane, now) or self._amid(lane):
                    self._reconnect(lane)
        if self._running:
            due = min((lane.started for lane in self.lanes if lane.busy), default=now) + timeout
            self._timer = asyncio.get_running_loop().call_later(max((due - now_ns()) / NS, _SOONEST_S), self._give_up)

    def _failed(self, lane: Lane, error: str) -> None:
        if lane.intended >= self._counts_from:
            self._recorder.add_error(error, lane.started, lane.payload.model if lane.payload is not None else "")

    def _spent(self, lane: Lane, now: int) -> bool:
        """Count an end, and tell whether its lane sends no more: those under way are as many as are still asked for.

        Stop where it was the last of these, or of a schedule that is over.
        """
        rests = lane in self._resting
        if self._left > 0 and lane.intended != _UNCOUNTED:
            if now < self._windows_ns:
                self._uncounted += 1
            else:
                self._left -= lane.intended >= self._counts_from
                rests = self._closed and not self._unsent
                self._unsent = max(self._unsent - 1, 0)
        over = self._exhausted and not self._due and not any(lane.busy for lane in self.lanes)
        if self._left and not over:
            if rests:
                self._resting.add(lane)
            return rests
        self._recorder.finish(now, now if self._left else self._until())
        self.stop()
        return True

    def _until(self) -> int:
        """Give when the time of an open loop's requests is over at the earliest: each has the gap that follows it."""
        job = self._job
        if job.schedule is None or job.requests is None:
            return 0
        first = self._uncounted * job.parts
        last = first + (job.requests - 1) * job.parts + job.part
        return self._windows_ns + span_of(job.schedule, first, last + 1)

    def _rest(self, lane: Lane) -> None:
        """Have a lane wait until something is due.

        Lanes amid a sequence are taken first: with a lane for each request, hundreds of sequences would be open, and
        the server would drop them before their next request came. Of the others the first lane is, whose connection is
        timed, and then the one that has waited longest.
        """
        payload = lane.payload
        amid = payload is not None and lane.sent < payload.sequence_length
        if amid:
            self._begun.append(lane)
        elif lane is self.lanes[0]:
            self._idle.appendleft(lane)
        else:
            self._idle.append(lane)

    def _begin(self, lane: Lane) -> None:
        if self._running and lane.link is not None and not lane.busy and lane not in self._resting:
            self._send(lane, now_ns())

    def _ring(self) -> None:
        if self._alarm is not None:
            self._alarm.acknowledge()
            self._advance()

    def _advance(self) -> None:
        """Send what is due, and set the alarm for what is next; answers are read between so many."""
        self.tick()
        now = now_ns()
        for _ in range(_AT_ONCE):
            if not self._next:
                self._pull()
            if not self._next:
                return
            if self._next > now and self._next > (now := now_ns()):
                break
            if idle := self._begun or self._idle:
                self._send(idle.popleft(), self._next)
            else:
                self._due.append(self._next)
                if self._asleep:
                    self._reconnect(self._asleep.pop())
                else:
                    self._recorder.held_back += 1
                if len(self._due) > _WAITING:
                    self._due.popleft()
                    self._recorder.add_error("not sent: a million requests are waiting; the rate is out of reach")
            self._pull()
        if self._next and self._alarm is not None:
            self._alarm.set(self._next)

    def _pull(self) -> None:
        following = next(self._times, None)
        self._exhausted = following is None
        self._next = 0 if following is None else self._load_ns + following

    def _send(self, lane: Lane, intended: int) -> None:
        link = lane.link
        if link is None:
            return
        payload = lane.payload
        if payload is None or not payload.parts or lane.sent >= payload.sequence_length:
            payload = lane.payload = self._payloads[self._turn]
            self._turn = (self._turn + 1) % len(self._payloads)
            lane.sent = 0
        data = self._in_sequence(lane, payload) if payload.parts else payload.data
        lane.intended, lane.last, lane.busy, lane.used = intended, 0, True, True
        lane.started = now_ns() if not self._closed else intended
        link.send(lane, data)

    def _in_sequence(self, lane: Lane, payload: Payload) -> bytes:
        if not lane.sent:
            lane.sequence = next(self._sequences)
        lane.sent += 1
        first, last = lane.sent == 1, lane.sent == payload.sequence_length
        place = lane.sent - 1 if payload.spelled else 3 if first and last else 0 if first else 2 if last else 1
        before, after = payload.parts[place]
        number = b"%d" % lane.sequence if not self._job.target.method else varint(lane.sequence)
        return before + number + after
