"""A log file as it grows."""

from __future__ import annotations

import codecs
import os
import time
from collections.abc import Callable, Iterator

__all__ = ["follow_file"]

_INTERVAL_S = 0.1
_CHUNK = 1 << 16


def follow_file(descriptor: int, *, ended: Callable[[], bool], start: int = 0) -> Iterator[str]:
    """Give what is in an open file from a place on, and then what is added, in pieces; until the end that is told.

    A file that is shorter than before was begun anew, and is given from its start.
    """
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    place = start
    while True:
        last = ended()
        if os.fstat(descriptor).st_size < place:
            place = 0
        while chunk := os.pread(descriptor, _CHUNK, place):
            place += len(chunk)
            yield decode(chunk)
        if last:
            return
        time.sleep(_INTERVAL_S)
