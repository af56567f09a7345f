"""Modules that a pickle names: those of the classes and functions in it, which whoever loads it needs."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path

__all__ = ["pickled_modules"]

_NAME = rb"[A-Za-z_][A-Za-z0-9_]*"
_GLOBAL = re.compile(rb"c((?:%b\.)*%b)\n(?:%b\.)*%b\n" % (_NAME, _NAME, _NAME, _NAME))
"""GLOBAL, of protocols up to 3: a module and a name in it, each to the end of its line."""

_FRAME = rb"(?:\x95.{8})?"
_STACK_GLOBAL = re.compile(
    rb"\x8c(?P<length>.)(?P<module>(?:%b\.)*%b)\x94%b(?:\x8c.(?:%b\.)*%b\x94|h.|j.{4})\x93"
    % (_NAME, _NAME, _FRAME, _NAME, _NAME),
    re.DOTALL,
)
"""STACK_GLOBAL, of protocols from 4 on: two short strings, of which the second may be one that was there before."""

_PACKED: tuple[tuple[bytes, Callable[[bytes], bytes]], ...] = (
    (b"\x78", zlib.decompress),
    (b"\x1f\x8b", gzip.decompress),
    (b"BZh", bz2.decompress),
    (b"\xfd7zXZ\x00", lzma.decompress),
    (b"\x5d\x00", lzma.decompress),
)
"""How files begin that joblib packs, and how they are unpacked."""

_SUFFIXES = frozenset({".bz2", ".gz", ".jbl", ".joblib", ".lzma", ".p", ".pickle", ".pkl", ".sav", ".xz", ".z"})
"""Of files that are unpacked to see whether they are pickles."""


def pickled_modules(file: Path) -> set[str]:
    """Name the modules of all classes and functions that a file refers to, if it is a pickle, of joblib or torch too.

    Nothing is loaded. What joblib writes isn't read as a pickle is, for the bytes of arrays lie between its parts.
    """
    return {module for content in _pickles(file) for module in _modules(content)}


def _pickles(file: Path) -> Iterator[bytes | mmap]:
    with file.open("rb") as opened:
        start = opened.read(6)
        if start[:1] == b"\x80" or (start[:1] == b"c" and file.suffix in _SUFFIXES):
            with mmap(opened.fileno(), 0, access=ACCESS_READ) as mapped:
                yield mapped
        elif start[:4] == b"PK\x03\x04":
            yield from _torch(file)
        elif file.suffix in _SUFFIXES:
            unpack = next((unpack for begin, unpack in _PACKED if start.startswith(begin)), None)
            content = _unpacked(unpack, file) if unpack else b""
            yield content if content[:1] == b"\x80" else b""


def _torch(file: Path) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(file) as archive:
            yield from (archive.read(name) for name in archive.namelist() if name.endswith(".pkl"))
    except (zipfile.BadZipFile, RuntimeError):
        return


def _unpacked(unpack: Callable[[bytes], bytes], file: Path) -> bytes:
    try:
        return unpack(file.read_bytes())
    except (zlib.error, lzma.LZMAError, OSError, EOFError):
        return b""


def _modules(content: bytes | mmap) -> Iterator[str]:
    for found in _GLOBAL.finditer(content):
        yield found[1].decode()
    for found in _STACK_GLOBAL.finditer(content):
        if found["length"][0] == len(found["module"]):
            yield found["module"].decode()
