"""When each request went out and each of its responses came, in a file, for an export of single requests."""

from __future__ import annotations

import asyncio
import struct
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple

from tritonforge.load.figures.recorder import Recorder
from tritonforge.load.links.lane import Lane
from tritonforge.load.workers.job import Tally

__all__ = ["Traced", "Tracer", "read_trace"]

_HEAD = struct.Struct("<4q")
_BUFFERED = 1 << 16


class Traced(NamedTuple):
    """A request, in ns on the clock of `now_ns`: when it was sent, when it ended, and when each response came.

    `sequence` is 0 where it is of none. Of a stream the last response precedes the end.
    """

    started: int
    sequence: int
    ended: int
    came: tuple[int, ...]


class Tracer(Recorder):
    """A recorder that also writes down each request that it counts, by the same times.

    Eight bytes for each number, some thousands of which wait in memory. Where the file can't be written, `failure` has
    the reason, and nothing more is written down: the load isn't to end by that.
    """

    def __init__(
        self,
        path: str,
        window_ns: int,
        emit: Callable[[Tally], None],
        *,
        from_first: bool = False,
        bounds_ns: Sequence[int] = (),
    ) -> None:
        super().__init__(window_ns, emit, from_first=from_first, bounds_ns=bounds_ns)
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

    def add_response(self, lane: Lane, now: int) -> None:
        """Take note of one response of a stream."""
        super().add_response(lane, now)
        started, came = self._open.get(lane, (0, []))
        if started != lane.started:  # the one before was given up
            came = []
            self._open[lane] = (lane.started, came)
        came.append(now)

    def add(self, lane: Lane, ended: int) -> None:
        """Take note of the end of a request."""
        super().add(lane, ended)
        started, came = self._open.pop(lane, (lane.started, []))
        if started != lane.started:
            came = []
        self._numbers.extend((lane.started, lane.sequence, ended, len(came), *came))
        if len(self._numbers) >= _BUFFERED:
            # Not before the lane's next request is sent, whose time begins with this end.
            asyncio.get_running_loop().call_soon(self._write)


def read_trace(path: Path) -> Iterator[Traced]:
    """Give what a tracer wrote, a request at a time, in the order in which they ended."""
    with path.open("rb") as file:
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            started, sequence, ended, count = _HEAD.unpack(head)
            times = file.read(8 * count)
            if len(times) < 8 * count:  # its process was ended amid it
                return
            yield Traced(started, sequence, ended, struct.unpack(f"<{count}q", times) or (ended,))
