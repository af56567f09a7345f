"""HPACK (RFC 7541) without a dynamic table: what a gRPC client writes of headers, and reads of its server's.

The table is switched off by SETTINGS_HEADER_TABLE_SIZE 0: each block then means the same whenever it comes.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

__all__ = ["decode_headers", "encode_field", "encode_headers"]

_STATIC_METHOD_POST = 0x83
_STATIC_SCHEME_HTTP = 0x86

_NAMES: tuple[str, ...] = tuple(
    " ".join(
        (
            ":authority :method :method :path :path :scheme :scheme :status :status :status :status :status",
            ":status :status accept-charset accept-encoding accept-language accept-ranges accept",
            "access-control-allow-origin age allow authorization cache-control content-disposition",
            "content-encoding content-language content-length content-location content-range content-type cookie",
            "date etag expect expires from host if-match if-modified-since if-none-match if-range",
            "if-unmodified-since last-modified link location max-forwards proxy-authenticate proxy-authorization",
            "range referer refresh retry-after server set-cookie strict-transport-security transfer-encoding",
            "user-agent vary via www-authenticate",
        )
    ).split()
)
"""The names of the static table, RFC 7541, appendix A; the first has index 1."""

_VALUES = {2: "GET", 3: "POST", 4: "/", 5: "/index.html", 6: "http", 7: "https", 16: "gzip, deflate"} | dict(
    zip(range(8, 15), ("200", "204", "206", "304", "400", "404", "500"), strict=True)
)

_CODE_LENGTHS = bytes.fromhex(
    "0d171c1c1c1c1c1c1c181e1c1c1e1c1c1c1c1c1c1c1c1e1c1c1c1c1c1c1c1c1c060a0a0c0d06080b0a0a080b08060606050505060606"
    "0606060607080f060c0a0d06070707070707070707070707070707070707070707070807080d130d0e060f0506050605060606050707"
    "0606060506070605050607070707070f0b0e0d1c14161414161616171617171717171817181816171817171717151617161717181615"
    "1416161717151716161815161717151516151716171714161616171616171a1a1413161716191a1a1a1b1b1a181913151a1b1b1a1b18"
    "15151a1a1c1b1b1b14181415161515171616191918181a171a1b1a1a1b1b1b1b1b1c1b1b1b1b1b1a1e"
)
"""Of each byte, and of the end of a string, how many bits its Huffman code has, RFC 7541, appendix B.

The code is a canonical one: codes of one length ascend with what they stand for, and follow those that are shorter.
"""


def encode_headers(path: str, authority: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Write the header block of a gRPC call, every field of it plain."""
    fields = [
        (":path", path),
        (":authority", authority),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        *((name.lower(), value) for name, value in headers),
    ]
    literal = b"".join(encode_field(name, value) for name, value in fields)
    return bytes((_STATIC_METHOD_POST, _STATIC_SCHEME_HTTP)) + literal


def encode_field(name: str, value: str) -> bytes:
    """Write one field, not to be kept in any table."""
    return b"\x10" + _string(name) + _string(value)


def decode_headers(block: bytes) -> dict[str, str]:
    """Read a header block; of a name that comes twice the last value. Raise ValueError where it is none."""
    fields: dict[str, str] = {}
    position = 0
    try:
        while position < len(block):
            first = block[position]
            if first & 0x80:  # a whole field by its index
                index, position = _integer(block, position, 7)
                fields[_name(index)] = _VALUES.get(index, "")
                continue
            if first & 0xE0 == 0x20:  # the size of the table
                _, position = _integer(block, position, 5)
                continue
            index, position = _integer(block, position, 6 if first & 0x40 else 4)
            if index:
                name = _name(index)
            else:
                name, position = _read_string(block, position)
            fields[name], position = _read_string(block, position)
    except IndexError as error:
        raise ValueError("a header block breaks off") from error
    return fields


def _name(index: int) -> str:
    if not 0 < index <= len(_NAMES):
        raise ValueError(f"a header refers to entry {index} of a table that there isn't")
    return _NAMES[index - 1]


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
        if shift > 28:
            raise ValueError("a header has a number of more than 32 bits")


def _read_string(block: bytes, position: int) -> tuple[str, int]:
    coded = block[position] & 0x80
    size, position = _integer(block, position, 7)
    data = block[position : position + size]
    if len(data) < size:
        raise IndexError
    return (_expand(data) if coded else data).decode("utf-8", "replace"), position + size


@cache
def _symbols() -> dict[tuple[int, int], int]:
    """By length and code: what it stands for."""
    symbols = {}
    code = length = 0
    for size, symbol in sorted((size, symbol) for symbol, size in enumerate(_CODE_LENGTHS)):
        code <<= size - length
        length = size
        symbols[size, code] = symbol
        code += 1
    return symbols


def _expand(data: bytes) -> bytes:
    """Read Huffman codes; what is left at the end are the first bits of the longest one."""
    symbols = _symbols()
    out = bytearray()
    code = length = 0
    for byte in data:
        for bit in range(7, -1, -1):
            code = code << 1 | byte >> bit & 1
            length += 1
            symbol = symbols.get((length, code))
            if symbol is not None:
                if symbol > 255:
                    raise ValueError("a header has the end of a string in the middle of it")
                out.append(symbol)
                code = length = 0
    if length > 7 or code != (1 << length) - 1:
        raise ValueError("a header's last Huffman code breaks off")
    return bytes(out)
