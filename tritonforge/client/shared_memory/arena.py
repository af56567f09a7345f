"""Which tensors of a request go through shared memory, and where: no I/O, for both kinds of client."""

from __future__ import annotations

import math
import os
import threading
import weakref
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from tritonforge.client.concurrency.forks import watch_forks
from tritonforge.client.message import Buffer, Region, Request, Response, Tensor, is_sequence
from tritonforge.client.shared_memory.segments import Segment
from tritonforge.client.tensors.wire import numpy_dtype

__all__ = ["LEAST_BYTES", "Arena", "Placed"]

LEAST_BYTES = 1 << 18
"""From this size on, one copy into shared memory costs less than the way over the loopback."""

_ALIGNED = 64
_SMALLEST = 1 << 20
_MOST_IDLE_BYTES = 1 << 29
_MOST_SHAPES = 256


class Placed(NamedTuple):
    """A request with its large tensors in a segment, if there is one."""

    request: Request
    segment: Segment | None


class Arena:
    """The segments of one client with one server, for any number of threads: each serves one request at a time."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a view may be collected, and its segment come back, at any moment
        self._owner = os.getpid()
        self._idle: list[Segment] = []
        self._lent: weakref.WeakSet[Segment] = weakref.WeakSet()
        self._sizes: dict[object, dict[str, int]] = {}
        self._varying: set[tuple[str, str, str]] = set()
        self._fixed: dict[str, Segment] = {}
        self._closed = False
        self.used = False
        """Whether small requests concern it, too: some arrays lie in shared memory, or some outputs are large."""
        self.told: set[str] = set()
        """The segments that the server has been told of: it may know them."""
        self.registered: set[str] = set()
        """Those that it has said to know."""
        watch_forks(self)

    def after_fork(self) -> None:
        """Let go of what a thread of the parent may have held; the rest is made anew when it is next needed."""
        self._lock = threading.RLock()

    @property
    def own(self) -> bool:
        """Whether it is this process's, and not that of the parent which has forked it."""
        return self._owner == os.getpid()

    @property
    def closed(self) -> bool:
        """Whether the client is closed: no segment is made any more."""
        return self._closed

    def large_outputs(self, request: Request) -> dict[str, int]:
        """Give the bytes of outputs that were large, and as large each time, in answers to requests of these shapes."""
        if not self._sizes or request.top or is_sequence(request):
            return {}
        return {
            name: size
            for name, size in self._sizes.get(_key(request), {}).items()
            if size >= LEAST_BYTES and _output(request, name) not in self._varying
        }

    def place(self, request: Request, outputs: Sequence[str] = ()) -> Placed | None:
        """Copy large inputs into a segment, and have outputs written there that were large before.

        `outputs` are all that the model has, or the caller wants: to name one in a request is to ask for those alone
        that are named. Without them, all outputs come over the wire. None where nothing is large. Raise OSError where
        /dev/shm has no room.
        """
        self._check_owner()
        if not self.used and all(len(tensor.data) < LEAST_BYTES for tensor in request.inputs):
            return None
        inputs = [self._find(tensor) for tensor in request.inputs]
        moving = [t for t in inputs if t.region is None and len(t.data) >= LEAST_BYTES]
        large = {n: size for n, size in self.large_outputs(request).items() if n in outputs} if outputs else {}
        if not (moving or large or any(tensor.region for tensor in inputs)):
            return None
        total = sum(_aligned(len(tensor.data)) for tensor in moving) + sum(map(_aligned, large.values()))
        segment = self._lend(total) if total else None
        offset = 0
        placed = []
        for tensor in inputs:
            if tensor in moving and segment is not None:
                size = len(tensor.data)
                segment.array[offset : offset + size] = np.frombuffer(tensor.data, np.uint8)
                placed.append(tensor._replace(data=b"", region=Region(segment.name, offset, size)))
                offset += _aligned(size)
            else:
                placed.append(tensor)
        into = {}
        for name, size in large.items():
            if segment is not None:
                into[name] = Region(segment.name, offset, size)
                offset += _aligned(size)
        asked = tuple(outputs) if into else request.outputs
        return Placed(request._replace(inputs=tuple(placed), outputs=asked, into=into, kind=None), segment)

    def unregistered(self, placed: Placed) -> list[Segment]:
        """List the segments of a request that the server doesn't know yet."""
        names = {tensor.region.name for tensor in placed.request.inputs if tensor.region}
        segments = [segment for name, segment in self._fixed.items() if name in names]
        segments += [placed.segment] if placed.segment else []
        return [segment for segment in segments if segment.name not in self.registered]

    def forget_registrations(self, placed: Placed) -> None:
        """Have the segments of a request registered again: the server has started anew."""
        regions = [tensor.region for tensor in placed.request.inputs if tensor.region]
        self.registered.difference_update(region.name for region in (*regions, *placed.request.into.values()))

    def take(self, placed: Placed, response: Response) -> Response:
        """Give the response with what lies in the segment, which is lent until the last view of that is gone."""
        if not placed.request.into or placed.segment is None:
            return response
        segment = placed.segment
        whole = segment.lend()
        with self._lock:
            self._lent.add(segment)
        weakref.finalize(whole, self._give_back, segment)
        view = memoryview(whole).cast("B")
        outputs = []
        for tensor in response.outputs:
            region = placed.request.into.get(tensor.name)
            data: Buffer = tensor.data
            if region is not None:
                size = _size(tensor)
                data = view[region.offset : region.offset + size]
                if size != region.size:
                    self.vary(placed.request, (tensor.name,))
            outputs.append(tensor._replace(data=data))
        return response._replace(outputs=tuple(outputs))

    def done(self, placed: Placed) -> None:
        """Take the segment back, unless parts of a response still lie in it."""
        if placed.segment is not None:
            with self._lock:
                lent = placed.segment in self._lent
            if not lent:
                self._give_back(placed.segment)

    def discard(self, placed: Placed) -> None:
        """Let go of a segment that the server may still write to: a request was given up half-way."""
        if placed.segment is not None:
            self.forget(placed.segment.name)
            placed.segment.discard()

    def forget(self, name: str) -> None:
        """Leave a segment to whoever has the server let go of it."""
        self.registered.discard(name)
        self.told.discard(name)

    def learn(self, request: Request, response: Response) -> None:
        """Remember the sizes of the outputs where one is large, for the next request of the same shapes."""
        for tensor in response.outputs:
            if len(tensor.data) >= LEAST_BYTES:
                return self._remember(request, response)
        return None

    def _remember(self, request: Request, response: Response) -> None:
        if request.top or is_sequence(request):
            return
        if len(self._sizes) >= _MOST_SHAPES:
            self._sizes.clear()
        known = self._sizes.setdefault(_key(request), {})
        with self._lock:  # beside `unfix`, which may have looked before there was one
            self.used = True
        for tensor in response.outputs:
            # The size of a BYTES tensor says nothing of the next one's.
            if tensor.datatype != "BYTES" and known.setdefault(tensor.name, len(tensor.data)) != len(tensor.data):
                self.vary(request, (tensor.name,))

    def vary(self, request: Request, outputs: Iterable[str]) -> None:
        """Have outputs of the model come over the wire from now on: their size isn't told by the inputs' shapes."""
        self._varying.update([_output(request, name) for name in outputs])

    def fix(self, segment: Segment) -> None:
        """Take note of a segment with arrays of the caller's own: tensors that lie in it are never copied."""
        self._check_owner()
        with self._lock:
            self._fixed[segment.name] = segment
            self.used = True

    def unfix(self, segment: Segment) -> bool:
        """Have such a segment named no more. Tell whether the server may know it."""
        with self._lock:
            self._fixed.pop(segment.name, None)
            self.used = bool(self._sizes or self._fixed)
        return segment.name in self.told

    def close(self) -> list[str]:
        """Remove all segments, that of a call under way at its end; name those that the server may know."""
        names = sorted(self.told) if self._owner == os.getpid() else []
        with self._lock:
            idle, in_use = [*self._idle], [*self._lent, *self._fixed.values()]
            self._closed = True
            self._idle.clear()
            self._fixed.clear()
            self.registered.clear()
            self.told.clear()
        for segment in idle:
            segment.discard()
        for segment in in_use:
            segment.close()
        return names

    def _find(self, tensor: Tensor) -> Tensor:
        """Name the place of a tensor that lies in a segment of the caller's own."""
        if not self._fixed or not len(tensor.data):
            return tensor
        start = np.frombuffer(tensor.data, np.uint8).__array_interface__["data"][0]
        for segment in list(self._fixed.values()):
            offset, size = start - segment.address, len(tensor.data)
            if 0 <= offset <= segment.size - size:
                return tensor._replace(data=b"", region=Region(segment.name, offset, size))
        return tensor

    def _lend(self, size: int) -> Segment:
        with self._lock:
            fitting = [segment for segment in self._idle if segment.size >= size]
            if fitting:
                segment = min(fitting, key=lambda segment: segment.size)
                self._idle.remove(segment)
                return segment
        return Segment(max(_SMALLEST, 1 << (size - 1).bit_length()))

    def _give_back(self, segment: Segment) -> None:
        with self._lock:
            self._lent.discard(segment)
            if self._owner != os.getpid():
                return
            if self._closed:
                segment.discard()
            else:
                self._idle.append(segment)

    def surplus(self) -> list[Segment]:
        """Take the idle segments that are more than what is kept; the caller has the server let go of them."""
        with self._lock:
            gone = []
            while sum(segment.size for segment in self._idle) > _MOST_IDLE_BYTES:
                gone.append(self._idle.pop(0))
            return gone

    def _check_owner(self) -> None:
        if self._owner != os.getpid():  # a forked child makes segments of its own
            self.__init__()  # type: ignore[misc]  # all of its state is its parent's


def _key(request: Request) -> object:
    """Give what the sizes of a request's outputs are remembered under."""
    return request.model, request.version, request.outputs, tuple([tensor[:3] for tensor in request.inputs])


def _output(request: Request, name: str) -> tuple[str, str, str]:
    return request.model, request.version, name


def _aligned(size: int) -> int:
    return -(-size // _ALIGNED) * _ALIGNED


def _size(tensor: Tensor) -> int:
    dtype = numpy_dtype(tensor.datatype)
    return math.prod(tensor.shape) * (dtype.itemsize if dtype else 1)
