"""A backend that does nothing: the smallest shared library that Triton takes for one, under any name.

With it the real server reads, validates and loads a repository without any model's code, weights or runtime, in
milliseconds a model. It answers each request (those of warmup samples) with an empty response. The library is written
here, byte by byte: an ELF file for Linux on x86-64 that exports the one function a backend must have.
"""

from __future__ import annotations

import struct
from pathlib import Path

__all__ = ["null_backend", "write_null_backends"]

_EXPORT = b"TRITONBACKEND_ModelInstanceExecute"
_IMPORTS = (b"TRITONBACKEND_ResponseNew", b"TRITONBACKEND_ResponseSend", b"TRITONBACKEND_RequestRelease")

_CODE = (
    "85d2 745c"  # if (count == 0) goto end
    "4154 55 53 4883ec10"
    "4889f3 89d2 4c8d24d6 488d6c2408"  # request = requests; last = requests + count
    "488b33 4889ef ff15{0}"  # loop: ResponseNew(&response, *request)
    "ba00000000 be01000000 488b7c2408 ff15{1}"  # ResponseSend(response, FINAL, NULL)
    "488b3b be01000000 ff15{2}"  # RequestRelease(*request, ALL)
    "4883c308 4c39e3 75c8"  # if (++request != last) goto loop
    "b800000000 4883c410 5b 5d 415c c3"  # return NULL
    "b800000000 c3"  # end: return NULL
)
"""`TRITONBACKEND_ModelInstanceExecute(instance, requests, count)`, with room for the offsets of what it calls."""

_PAGE = 0x1000
_HEADERS = 64 + 4 * 56
_LOAD, _DYNAMIC, _STACK = 1, 2, 0x6474E551
_READ_EXECUTE, _READ_WRITE = 5, 6
_HASH, _STRTAB, _SYMTAB, _RELA, _RELASZ, _RELAENT, _STRSZ, _SYMENT = 4, 5, 6, 7, 8, 9, 10, 11
_GLOB_DAT, _GLOBAL_FUNCTION = 6, 0x12
_ENTRIES = 9


def write_null_backends(folder: Path, names: set[str]) -> Path:
    """Write the backend under each of the names into a new backend directory."""
    library = null_backend()
    for name in sorted(names):
        (folder / name).mkdir(parents=True)
        (folder / name / f"libtriton_{name}.so").write_bytes(library)
    return folder


def null_backend() -> bytes:
    """Make the library."""
    names = b"\0" + b"\0".join([*_IMPORTS, _EXPORT]) + b"\0"
    hashes = _HEADERS
    count = len(_IMPORTS) + 2
    symbols = (hashes + 4 * (3 + count) + 7) & ~7
    strings = symbols + 24 * count
    relocations = (strings + len(names) + 7) & ~7
    code = relocations + 24 * len(_IMPORTS)
    table = _PAGE + 16 * _ENTRIES  # the addresses of what is imported, after the dynamic section
    text = _assemble(code, table)

    chain = [0, *range(count - 1)]  # a hash table of one bucket: from the last symbol to the first
    parts = {
        hashes: struct.pack(f"<3I{count}I", 1, count, count - 1, *chain),
        symbols: _symbols(names, code, len(text)),
        strings: names,
        relocations: b"".join(
            struct.pack("<QQq", table + 8 * number, ((number + 1) << 32) | _GLOB_DAT, 0)
            for number in range(len(_IMPORTS))
        ),
        code: text,
        _PAGE: _dynamic(hashes, symbols, strings, len(names), relocations),
    }
    image = bytearray(table + 8 * len(_IMPORTS))
    image[:_HEADERS] = _headers(code + len(text), len(image) - _PAGE)
    for offset, content in parts.items():
        image[offset : offset + len(content)] = content
    return bytes(image)


def _assemble(code: int, table: int) -> bytes:
    """Put the distances to the imported addresses into the code; each counts from the end of its call."""
    blank = bytes.fromhex(_CODE.format(*["00000000"] * len(_IMPORTS)))
    ends = [at + 6 for at in range(len(blank) - 1) if blank[at : at + 2] == b"\xff\x15"]
    offsets = [table + 8 * number - (code + end) for number, end in enumerate(ends)]
    return bytes.fromhex(_CODE.format(*(struct.pack("<i", offset).hex() for offset in offsets)))


def _symbols(names: bytes, code: int, size: int) -> bytes:
    def entry(name: bytes, section: int, value: int, length: int) -> bytes:
        return struct.pack("<IBBHQQ", names.index(name), _GLOBAL_FUNCTION, 0, section, value, length)

    imports = b"".join(entry(name, 0, 0, 0) for name in _IMPORTS)
    return bytes(24) + imports + entry(_EXPORT, 1, code, size)


def _dynamic(hashes: int, symbols: int, strings: int, strings_size: int, relocations: int) -> bytes:
    entries = (
        (_HASH, hashes),
        (_STRTAB, strings),
        (_SYMTAB, symbols),
        (_RELA, relocations),
        (_RELASZ, 24 * len(_IMPORTS)),
        (_RELAENT, 24),
        (_STRSZ, strings_size),
        (_SYMENT, 24),
        (0, 0),
    )
    assert len(entries) == _ENTRIES
    return b"".join(struct.pack("<QQ", tag, value) for tag, value in entries)


def _headers(code_end: int, data_size: int) -> bytes:
    identity = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = identity + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 4, 64, 0, 0)

    def segment(kind: int, flags: int, offset: int, size: int) -> bytes:
        return struct.pack("<IIQQQQQQ", kind, flags, offset, offset, offset, size, size, _PAGE if kind == _LOAD else 8)

    return header + b"".join(
        (
            segment(_LOAD, _READ_EXECUTE, 0, code_end),
            segment(_LOAD, _READ_WRITE, _PAGE, data_size),
            segment(_DYNAMIC, _READ_WRITE, _PAGE, 16 * _ENTRIES),
            segment(_STACK, _READ_WRITE, 0, 0),
        )
    )
