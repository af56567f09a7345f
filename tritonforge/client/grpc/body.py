"""The message of an answer as it comes: a large one is received right where it stays."""

from __future__ import annotations

from tritonforge.client.grpc.upload import MESSAGE_HEAD
from tritonforge.client.grpc.wire import first_tensor_at
from tritonforge.client.http.answer import Garbled, aligned_memory
from tritonforge.client.message import Buffer

__all__ = ["Body"]

_LARGE = 1 << 16
"""Bytes of a message that gets memory of its own, as in an HTTP response."""

_NOT_ONE = "the answer is not one whole message"


class Body:
    """What has come of a message, its head before it."""

    __slots__ = ("_filled", "_memory", "_parts", "_size")

    def __init__(self) -> None:
        self._parts: list[Buffer] = []
        self._filled = 0
        self._size = -1  # of the message, as soon as its head is there
        self._memory: memoryview | None = None

    def add(self, data: Buffer) -> None:
        """Add what came. Raise Garbled where it is more than the message."""
        if self._memory is not None:
            self._room(len(data))[:] = data
            self._filled += len(data)
            return
        self._parts.append(data)
        self._filled += len(data)
        if self._size < 0 and self._filled >= MESSAGE_HEAD.size:
            start = b"".join(self._parts)
            self._parts = [start]
            self._size = MESSAGE_HEAD.unpack_from(start)[1]
            if self._size > _LARGE:
                self._move(start)

    def room(self, size: int) -> memoryview | None:
        """Give where the next bytes, at most so many, are to be received; None where that isn't known yet.

        Raise Garbled where so many are more than the message.
        """
        return None if self._memory is None else self._room(size)

    def filled(self, count: int) -> None:
        """Take note that so many bytes have been received there."""
        self._filled += count

    def message(self) -> tuple[bool, bytes | memoryview]:
        """Tell whether it is compressed, and give it. Raise Garbled where it isn't one whole message."""
        if self._size < 0:
            raise Garbled("the answer has no message" if self._filled < MESSAGE_HEAD.size else _NOT_ONE)
        if self._filled != MESSAGE_HEAD.size + self._size:
            raise Garbled(_NOT_ONE)
        if self._memory is not None:
            return bool(self._parts[0][0]), self._memory
        whole = b"".join(self._parts)
        return bool(whole[0]), whole[MESSAGE_HEAD.size :]

    def _room(self, size: int) -> memoryview:
        assert self._memory is not None
        start = self._filled - MESSAGE_HEAD.size
        if start + size > self._size:
            raise Garbled(_NOT_ONE)
        return self._memory[start : start + size]

    def _move(self, start: bytes) -> None:
        """Give the message memory of its own, in which its first tensor is aligned: it needs no copy."""
        self._memory = aligned_memory(self._size, first_tensor_at(start[MESSAGE_HEAD.size :]))
        self._parts = [start[: MESSAGE_HEAD.size]]
        self._filled = MESSAGE_HEAD.size
        self.add(start[MESSAGE_HEAD.size :])
