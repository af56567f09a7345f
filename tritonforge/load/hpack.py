"""As much of HPACK (RFC 7541) as a gRPC client of one server needs: no dynamic table on either side, no Huffman code.

The table is switched off by SETTINGS_HEADER_TABLE_SIZE 0, which gRPC's C core heeds; and it writes plain strings.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["decode_headers", "encode_headers"]

_STATIC_METHOD_POST = 0x83
_STATIC_SCHEME_HTTP = 0x86


def encode_headers(path: str, authority: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Write the header block of a gRPC call."""
    fields = [
        (":path", path),
        (":authority", authority),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        *((name.lower(), value) for name, value in headers),
    ]
    literal = b"".join(b"\x10" + _string(name) + _string(value) for name, value in fields)
    return bytes((_STATIC_METHOD_POST, _STATIC_SCHEME_HTTP)) + literal


def decode_headers(block: bytes) -> dict[str, str]:
    """Read the fields that are written out, name and value; others (indexed, Huffman-coded) are passed over.

    Raise IndexError where the block breaks off.
    """
    fields: dict[str, str] = {}
    position = 0
    while position < len(block):
        first = block[position]
        if first & 0x80:  # a whole field by its index
            _, position = _integer(block, position, 7)
            continue
        if first & 0xE0 == 0x20:  # the size of the table
            _, position = _integer(block, position, 5)
            continue
        index, position = _integer(block, position, 6 if first & 0x40 else 4)
        name: str | None = None
        if not index:
            name, position = _read_string(block, position)
        value, position = _read_string(block, position)
        if name is not None and value is not None:
            fields[name] = value
    return fields


def _string(text: str) -> bytes:
    data = text.encode()
    size = len(data)
    if size < 127:
        return bytes((size,)) + data
    size -= 127
    prefix = bytearray(b"\x7f")
    while size >= 128:
        prefix.append(size % 128 + 128)
        size //= 128
    prefix.append(size)
    return bytes(prefix) + data


def _integer(block: bytes, position: int, bits: int) -> tuple[int, int]:
    limit = (1 << bits) - 1
    value = block[position] & limit
    position += 1
    if value < limit:
        return value, position
    shift = 0
    while True:
        byte = block[position]
        position += 1
        value += (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, position


def _read_string(block: bytes, position: int) -> tuple[str | None, int]:
    huffman = block[position] & 0x80
    size, position = _integer(block, position, 7)
    data = block[position : position + size]
    if len(data) < size:
        raise IndexError("a header breaks off")
    return (None if huffman else data.decode("utf-8", "replace")), position + size
