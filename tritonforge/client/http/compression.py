"""Bodies compressed and put back piece by piece: nothing goes on past the deadline, nor holds up an event loop."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Iterator, Sequence

from tritonforge.client.deadline import Deadline
from tritonforge.client.message import Buffer

__all__ = ["Steps", "finish_steps", "finish_steps_beside", "packing", "unpacking"]

Steps = Iterator[bytes]
"""The parts of the outcome; each takes some ms to make."""

_PIECE = 1 << 18
_MOMENT_S = 0.002
_LEVEL = 1  # tensors gain little from more, and it takes several times as long
_WINDOW_BITS = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}  # HTTP's deflate is zlib's: RFC 9110, 8.4.1.2
_BY_ITS_HEAD = zlib.MAX_WBITS | 32  # which tells gzip and zlib apart


def packing(parts: Sequence[Buffer], encoding: str) -> Steps:
    """Compress parts as one body, `encoding` being gzip or deflate."""
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW_BITS[encoding])
    for part in parts:
        view = memoryview(part)
        for start in range(0, len(view), _PIECE):
            yield compressor.compress(view[start : start + _PIECE])
    yield compressor.flush()


def unpacking(data: Buffer, encoding: str) -> Steps:
    """Undo what compressed a body. Raise ValueError for another encoding, zlib.error for data that aren't so."""
    if encoding not in _WINDOW_BITS:
        raise ValueError(f"its encoding is {encoding!r}, which nobody asked for")
    decompressor = zlib.decompressobj(_BY_ITS_HEAD)
    view = memoryview(data)
    for start in range(0, len(view), _PIECE):
        rest: Buffer = view[start : start + _PIECE]
        while rest:
            yield decompressor.decompress(rest, _PIECE)
            rest = decompressor.unconsumed_tail
    yield decompressor.flush()
    if not decompressor.eof:
        raise zlib.error("the compressed data break off")


def finish_steps(steps: Steps, deadline: Deadline) -> bytes:
    """Do all steps here. Raise TimeoutError past the deadline, and what a step raises."""
    done = []
    for part in steps:
        deadline.left_s()
        done.append(part)
    return b"".join(done)


async def finish_steps_beside(steps: Steps, deadline: Deadline) -> bytes:
    """Do steps here for a moment, in which most are done, and the others in a thread: zlib lets the loop go on."""
    until, done = time.monotonic() + _MOMENT_S, []
    for part in steps:
        done.append(part)
        if time.monotonic() > until:
            break
    else:
        return b"".join(done)
    loop = asyncio.get_running_loop()
    while (part := await loop.run_in_executor(None, next, steps, None)) is not None:  # type: ignore[arg-type]  # None, at the end
        deadline.left_s()
        done.append(part)
    return b"".join(done)
