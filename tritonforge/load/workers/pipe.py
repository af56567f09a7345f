"""Messages between the parent and its workers: a length and a pickle."""

from __future__ import annotations

import pickle
import struct
from typing import Any, BinaryIO

__all__ = ["read_message", "write_message"]

_SIZE = struct.Struct("<Q")


def write_message(pipe: BinaryIO, message: Any) -> None:
    """Write one message, whole."""
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    whole = memoryview(_SIZE.pack(len(data)) + data)
    while whole:  # an unbuffered pipe may take less than all
        whole = whole[pipe.write(whole) :]
    pipe.flush()


def read_message(pipe: BinaryIO) -> Any:
    """Read what `write_message` wrote. Raise EOFError where nothing more comes."""
    return pickle.loads(_exactly(pipe, _SIZE.unpack(_exactly(pipe, _SIZE.size))[0]))


def _exactly(pipe: BinaryIO, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = pipe.read(size - len(parts))
        if not part:
            raise EOFError("the other process is gone")
        parts += part
    return bytes(parts)
