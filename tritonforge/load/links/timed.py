"""Connections that time the client's own part of each request. One lane of a process has one: a sample of all."""

from __future__ import annotations

from tritonforge.load.figures.recorder import Recorder
from tritonforge.load.links.grpc import GrpcLink
from tritonforge.load.links.http import HttpLink
from tritonforge.load.links.lane import Events, Lane
from tritonforge.load.pacing.clock import now_ns
from tritonforge.load.workers.job import Target

__all__ = ["TimedGrpcLink", "TimedHttpLink"]


class _Clock:
    """Hears of the end before the events do, which send the next request at once."""

    def __init__(self, recorder: Recorder, events: Events) -> None:
        self.first = 0
        self._recorder, self._events = recorder, events
        self.responded, self.lost = events.responded, events.lost

    def ended(self, lane: Lane, error: str, body: bytes | bytearray | memoryview) -> None:
        """Count from the answer's first byte to here, where it is read; of a stream that is the server's time."""
        stream = lane.payload is not None and lane.payload.stream
        if self.first and not stream:  # without a first byte the call was reset, or refused without an answer
            self._recorder.add_receive(self.first, now_ns())
        self.first = 0
        self._events.ended(lane, error, body)


class TimedHttpLink(HttpLink):
    """An HTTP connection that is timed."""

    def __init__(self, recorder: Recorder, events: Events, lane: Lane) -> None:
        self._recorder, self._clock = recorder, _Clock(recorder, events)
        super().__init__(self._clock, lane)

    def send(self, lane: Lane, data: bytes) -> None:
        """Write a whole request."""
        started = now_ns()
        super().send(lane, data)
        self._recorder.add_send(now_ns() - started)

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        self._clock.first = self._clock.first or now_ns()
        super().data_received(data)


class TimedGrpcLink(GrpcLink):
    """An HTTP/2 connection with one call at a time, which is timed. Answers begin with headers: no pings."""

    def __init__(self, recorder: Recorder, target: Target, events: Events, lanes: list[Lane]) -> None:
        self._recorder, self._clock = recorder, _Clock(recorder, events)
        self._arrived = 0
        super().__init__(target, self._clock, lanes)

    def send(self, lane: Lane, data: bytes) -> None:
        """Start a call."""
        started = now_ns()
        super().send(lane, data)
        self._recorder.add_send(now_ns() - started)

    def data_received(self, data: bytes) -> None:
        """Take frames."""
        self._arrived = now_ns()
        super().data_received(data)

    def _begun(self) -> None:
        self._clock.first = self._clock.first or self._arrived
