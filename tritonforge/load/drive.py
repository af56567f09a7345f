"""When each request goes out, and what is noted of its end: closed and open loops over lanes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from itertools import count

from tritonforge.load.answers import Answers
from tritonforge.load.clock import NS, Alarm, now_ns
from tritonforge.load.job import Job, Payload
from tritonforge.load.lane import Lane
from tritonforge.load.recorder import Recorder
from tritonforge.load.schedule import intended_times

__all__ = ["Drive"]

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
        self._running = True
        self._exhausted = False
        self._idle: deque[Lane] = deque()
        self._due: deque[int] = deque()
        self._times: Iterator[int] = iter(())
        self._next = 0
        self._sequences = count(1_000_000_000 + job.part * 100_000_000)
        self._alarm: Alarm | None = None
        self.lanes: list[Lane] = []
        self.done = asyncio.Event()

    def start(self) -> None:
        """Begin: all lanes are connected."""
        job = self._job
        if not self._closed:
            assert job.schedule is not None
            self._times = intended_times(job.schedule, job.part, job.parts)
            self._idle.extend(self.lanes)
            self._alarm = Alarm()
            asyncio.get_running_loop().add_reader(self._alarm.fd, self._ring)
            self._advance()
            return
        loop = asyncio.get_running_loop()
        wait_s = max(0.0, (job.start_ns - now_ns()) / NS)
        for number, lane in enumerate(self.lanes):
            loop.call_later(wait_s + job.ramp_s * number / len(self.lanes), self._begin, lane)

    def stop(self) -> None:
        """Start no more. What is under way may end, but is waited for by nobody."""
        self._running = False
        if self._alarm is not None:
            asyncio.get_running_loop().remove_reader(self._alarm.fd)
            self._alarm.close()
            self._alarm = None
        self.done.set()

    def responded(self, lane: Lane) -> None:
        """Take note of one response of a stream."""
        now = now_ns()
        if self._running:
            self._recorder.add_response(lane.intended, lane.last, now)
        lane.last = now

    def ended(self, lane: Lane, error: str, body: bytes | bytearray | memoryview) -> None:
        """Take note of the end of a request, and start the lane's next."""
        now = now_ns()
        lane.busy = False
        if not self._running:
            return
        recorder = self._recorder
        if now >= recorder.edge:
            recorder.roll(now)
        payload = lane.payload
        if payload is not None and payload.expected is not None and not error:
            error = self._answers.check(payload, body, grpc=bool(self._job.target.method))
        if error:
            recorder.add_error(error)
        else:
            recorder.add(lane.intended, lane.started, now)
        if (self._left > 0 or self._exhausted) and self._spent(now):
            return
        if self._closed:
            self._send(lane, now)
        elif self._due:
            self._send(lane, self._due.popleft())
        else:
            self._idle.append(lane)

    def lost(self, lane: Lane, reason: str) -> None:
        """Count the lane's request as failed, and connect it anew."""
        lane.link = None
        if self._running:
            if lane.busy:
                lane.busy = False
                self._recorder.add_error(f"connection: {reason}")
                if self._spent(now_ns()):
                    return
            elif lane in self._idle:
                self._idle.remove(lane)
            self._reconnect(lane)

    def connected(self, lane: Lane) -> None:
        """Go on with a lane that was lost."""
        if not self._running:
            return
        if self._closed:
            self._begin(lane)
        elif self._due:
            self._send(lane, self._due.popleft())
        else:
            self._idle.append(lane)

    def tick(self) -> None:
        """Close windows in which nothing ended, and give up requests that take too long."""
        now = now_ns()
        if now >= self._recorder.edge:
            self._recorder.roll(now)
        limit = now - int(self._job.timeout_s * NS)
        for lane in self.lanes:
            if lane.busy and lane.started < limit and self._running:
                lane.busy = False
                self._recorder.add_error(f"timeout: no answer within {self._job.timeout_s:g} s")
                link, lane.link = lane.link, None
                if link is not None:
                    link.abandon(lane)
                if self._spent(now):
                    return
                self._reconnect(lane)

    def _spent(self, now: int) -> bool:
        """Count an end; stop where it was the last that was asked for, or of a schedule that is over."""
        if self._left > 0 and now >= self._job.windows_ns:
            self._left -= 1
        over = self._exhausted and not self._due and not any(lane.busy for lane in self.lanes)
        if self._left and not over:
            return False
        self._recorder.finish(now)
        self.stop()
        return True

    def _begin(self, lane: Lane) -> None:
        if self._running and lane.link is not None and not lane.busy:
            self._send(lane, now_ns())

    def _ring(self) -> None:
        if self._alarm is not None:
            self._alarm.acknowledge()
            self._advance()

    def _advance(self) -> None:
        """Send all that is due, and set the alarm for what is next."""
        while True:
            now = now_ns()
            while self._next and self._next <= now:
                if self._idle:
                    self._send(self._idle.popleft(), self._next)
                else:
                    self._due.append(self._next)
                    self._recorder.held_back += 1
                    if len(self._due) > 1_000_000:
                        self._due.popleft()
                        self._recorder.add_error("not sent: a million requests are waiting; the rate is out of reach")
                self._pull()
            if not self._next:
                self._pull()
                if not self._next:
                    return
            elif self._alarm is not None:
                self._alarm.set(self._next)
                return
            else:
                return

    def _pull(self) -> None:
        following = next(self._times, None)
        self._exhausted = following is None
        self._next = 0 if following is None else self._job.start_ns + following

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
        lane.intended, lane.last, lane.busy = intended, 0, True
        lane.started = now_ns() if not self._closed else intended
        link.send(lane, data)

    def _in_sequence(self, lane: Lane, payload: Payload) -> bytes:
        if not lane.sent:
            lane.sequence = next(self._sequences)
        lane.sent += 1
        first, last = lane.sent == 1, lane.sent == payload.sequence_length
        before, after = payload.parts[3 if first and last else 0 if first else 2 if last else 1]
        number = b"%d" % lane.sequence if not self._job.target.method else _varint(lane.sequence)
        return before + number + after


def _varint(value: int) -> bytes:
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    data.append(value)
    return bytes(data)
