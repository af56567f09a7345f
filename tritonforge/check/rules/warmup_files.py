"""The files of warmup samples: as many bytes as a row has, or as many strings as it has elements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from tritonforge import dtypes
from tritonforge.check.finding import Found, error
from tritonforge.pbtxt.document import enum_name

__all__ = ["FOLDER", "check_warmup_file"]

FOLDER = "warmup"

_BYTES = "write the bytes of one row, in C order"
_STRINGS = "write the strings of one row, each as its length in bytes (4 bytes, little-endian) and its bytes"


@dataclass(frozen=True, slots=True)
class _Strings:
    """What a file holds as strings: how many, the last one's lack of bytes, and the bytes that are no length."""

    count: int
    lacking: int
    rest: int


def check_warmup_file(folder: Path, name: str, given: Any, *, path: str, backend_reads: bool) -> Iterator[Found]:
    """Check the file of one input of a sample; `backend_reads` where the backend looks at each string, too.

    Triton's core counts strings by their lengths, and doesn't look whether the last one is all there (24.10).
    """
    said = f"{FOLDER}/{given.input_data_file}"
    file = folder / said
    if not file.is_file():
        yield error("TF650", path, f"{said} is not there", f"the path is relative to the model's folder {FOLDER}")
        return
    datatype, elements = enum_name(given, "data_type"), prod(given.dims)
    if datatype == "TYPE_STRING":
        held = _read_strings(file, most=elements + 1)
        if held.rest:
            message = (
                f'{said} ends in {held.rest} of the 4 bytes of a string\'s length; "{name}" needs {elements} strings'
            )
            yield error("TF650", path, message, _STRINGS)
        elif held.count != elements:
            found = f"more than {elements}" if held.count > elements else str(held.count)
            message = f'{said} has {found} string{"s"[: found != "1"]}; "{name}" needs {elements}'
            yield error("TF650", path, message, _STRINGS)
        elif held.lacking and backend_reads:
            message = f"the last string of {said} lacks {held.lacking} of its bytes"
            yield error("TF654", path, message, _STRINGS)
        return
    dtype = dtypes.from_config(datatype)
    wanted, size = elements * dtype.itemsize if dtype else 0, file.stat().st_size
    if size < wanted:
        yield error("TF650", path, f'{said} has {size} bytes; "{name}" needs {wanted}', _BYTES)


def _read_strings(file: Path, *, most: int) -> _Strings:
    """Read a file's strings by their lengths, up to a number of them."""
    size, at, count = file.stat().st_size, 0, 0
    with file.open("rb") as stream:
        while at < size and count < most:
            stream.seek(at)
            length = stream.read(4)
            if len(length) < 4:
                return _Strings(count, 0, len(length))
            at += 4 + int.from_bytes(length, "little")
            count += 1
    return _Strings(count, max(0, at - size), 0)
