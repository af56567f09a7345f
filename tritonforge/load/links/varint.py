"""Whole numbers as protobuf writes them: https://protobuf.dev/programming-guides/encoding/#varints."""

from __future__ import annotations

__all__ = ["varint"]


def varint(value: int) -> bytes:
    """Give a number of 0 or more: seven bits a byte, the least first, and a bit that says that more follow."""
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    data.append(value)
    return bytes(data)
