"""When each request went out and each of its responses came, in a file, for an export of single requests."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from tritonforge.load.clock import now_ns
from tritonforge.load.lane import Events, Lane

__all__ = ["Traced", "Tracer", "read_trace"]

_HEAD = struct.Struct("<3q")
_BUFFERED = 1 << 16

Traced = tuple[int, int, tuple[int, ...]]
"""When a request was sent, its sequence (0: none), and when each response came, in ns on the clock of `now_ns`."""


class Tracer:
    """Stands between the connections and who is told of what comes back, and writes down each request that succeeds.

    Eight bytes for each number, some thousands of which wait in memory. Where the file can't be written, `failure` has
    the reason, and nothing more is written down: the load isn't to end by that.
    """

    def __init__(self, events: Events, path: str) -> None:
        self._events = events
        self._path = path
        self._numbers = array("q")
        self._open: dict[Lane, tuple[int, list[int]]] = {}
        self._file: BinaryIO | None = None
        self.failure: OSError | None = None

    def __enter__(self) -> Tracer:
        try:
            self._file = Path(self._path).open("wb")
        except OSError as error:
            self.failure = error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._write()
        try:
            if self._file is not None:
                self._file.close()
        except OSError as reason:
            self.failure = self.failure or reason

    def _write(self) -> None:
        try:
            if self._file is not None and self.failure is None:
                self._numbers.tofile(self._file)
        except OSError as error:
            self.failure = error
        del self._numbers[:]

    def responded(self, lane: Lane) -> None:
        """Take note of one response of a stream."""
        started, came = self._open.get(lane, (0, []))
        if started != lane.started:  # the one before was given up
            came = []
            self._open[lane] = (lane.started, came)
        came.append(now_ns())
        self._events.responded(lane)

    def ended(self, lane: Lane, error: str, body: bytes | bytearray | memoryview) -> None:
        """Take note of the end of a request."""
        if not error:
            started, came = self._open.pop(lane, (lane.started, []))
            times = came if came and started == lane.started else [now_ns()]
            self._numbers.extend((lane.started, lane.sequence, len(times), *times))
            if len(self._numbers) >= _BUFFERED:
                self._write()
        self._events.ended(lane, error, body)

    def lost(self, lane: Lane, reason: str) -> None:
        """Pass it on."""
        self._events.lost(lane, reason)


def read_trace(path: Path) -> Iterator[Traced]:
    """Give what a tracer wrote, a request at a time, in the order in which they ended."""
    with path.open("rb") as file:
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            started, sequence, count = _HEAD.unpack(head)
            times = file.read(8 * count)
            if len(times) < 8 * count:  # its process was ended amid it
                return
            yield started, sequence, struct.unpack(f"<{count}q", times)
