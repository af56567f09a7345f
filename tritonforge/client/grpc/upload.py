"""A large message on its way out, in the frames that the peer has room for."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Sequence

from tritonforge.client.message import Buffer

__all__ = ["MESSAGE_HEAD", "Upload"]

MESSAGE_HEAD = struct.Struct(">BI")
"""What goes before a message: whether it is compressed, and its size."""


class Upload:
    """The parts of a message, of `size` bytes together, which are sent from where they are."""

    __slots__ = ("_parts", "left", "room")

    def __init__(self, parts: Sequence[Buffer], size: int, room: int) -> None:
        self._parts = deque(
            [memoryview(MESSAGE_HEAD.pack(0, size)), *[memoryview(part) for part in parts if len(part)]]
        )
        self.left = MESSAGE_HEAD.size + size
        """Bytes that have not been cut off yet."""
        self.room = room
        """Bytes that the peer takes of this call; below 0 where it has taken room back."""

    def cut(self, size: int) -> list[memoryview]:
        """Cut off the next bytes, of which there must be so many."""
        self.left -= size
        self.room -= size
        pieces = []
        while size:
            part = self._parts[0]
            if len(part) <= size:
                self._parts.popleft()
                pieces.append(part)
                size -= len(part)
            else:
                pieces.append(part[:size])
                self._parts[0] = part[size:]
                size = 0
        return pieces
