"""Where `tritonforge infer` has an input's value from: a literal, or a file of one of several kinds."""

from __future__ import annotations

import io
import json
import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tritonforge.cli.infer_tables import Table, numbers

__all__ = ["Literal", "Source", "read_file", "read_mapping"]


_UNREADABLE = (ValueError, EOFError, BadZipFile, NotImplementedError, zlib.error)
"""What NumPy raises for a broken file."""


class Source(Protocol):
    """Something that was given for an input."""

    def content(self, *, text: bool, name: str) -> Any:
        """Give a NumPy array, bytes, or what JSON can hold; `text`: the input called `name` takes BYTES.

        Raise ValueError where it holds no such thing.
        """


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as typed: JSON; for a BYTES input, what is neither a JSON string nor a list is the text itself."""

    typed: str

    def content(self, *, text: bool, name: str) -> Any:
        """Give the parsed JSON, or the text."""
        try:
            parsed = _parse(self.typed)
        except (ValueError, OverflowError, RecursionError) as error:
            if text:
                return self.typed
            if isinstance(error, OverflowError):
                raise ValueError(str(error)) from error  # noqa: TRY004 - it is the value that is wrong
            raise ValueError(f"{self.typed!r} is not JSON ({error}); a file takes an @ before it") from error
        return parsed if isinstance(parsed, (str, list)) or not text else self.typed


@dataclass(frozen=True, slots=True)
class Stored:
    """A value as it was stored: a NumPy array, parsed JSON, or bytes."""

    value: Any

    def content(self, *, text: bool, name: str) -> Any:
        """Give it as it is."""
        return self.value


@dataclass(frozen=True, slots=True)
class TextFile:
    """The text of a file: one value for a BYTES input, else a table with spaces between its numbers."""

    text: str

    def content(self, *, text: bool, name: str) -> Any:
        """Give the text without the end of its last line, or the numbers."""
        if text:
            return self.text.removesuffix("\n").removesuffix("\r")
        return numbers([line.split() for line in self.text.splitlines() if line.strip()])


@dataclass(frozen=True, slots=True)
class Blob:
    """The bytes of a file of a kind that holds no table: one value of a BYTES input."""

    data: bytes
    suffix: str

    def content(self, *, text: bool, name: str) -> Any:
        """Give the bytes."""
        if not text:
            raise ValueError(f"the bytes of a {self.suffix} file are for a BYTES input; {_TABLES}")
        return self.data


def read_file(path: str) -> Source:
    """Read the value of one input by the file's ending.

    Raise OSError, or ValueError where the ending is unknown, or the content isn't what it says.
    """
    suffix = Path(path).suffix.lower()
    if suffix in _BLOBS:
        return Blob(Path(path).read_bytes(), suffix)
    reader = _READERS.get(suffix)
    if reader is None:
        Path(path).open("rb").close()  # a file that isn't there is the first thing to say
        kind = f"{suffix} files are not read" if suffix else "the file's name has no ending"
        raise ValueError(f"{kind}; {_TABLES}, and {', '.join(_BLOBS)} as the bytes of a BYTES input")
    return reader(Path(path))


def read_mapping(path: str) -> Mapping[str, Source]:
    """Read the values of several inputs by name: an .npz, or a .json with one object. Raises as `read_file` does."""
    suffix = Path(path).suffix.lower()
    if suffix == ".npz":
        return {name: Stored(array) for name, array in _arrays(Path(path)).items()}
    if suffix != ".json":
        raise ValueError("names are read from .npz and .json files only; for one input: name=@file")
    content = _json(Path(path))
    if not isinstance(content, dict):
        raise ValueError("its JSON is not an object of names and values; for one input: name=@file")  # noqa: TRY004
    return {name: Stored(value) for name, value in content.items()}


def _read_npy(path: Path) -> Source:
    try:
        content = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
    except _UNREADABLE as error:
        raise ValueError(f"not a NumPy array that can be read: {error}") from error
    if not isinstance(content, np.ndarray):
        raise ValueError("it holds an archive of arrays; name it .npz")  # noqa: TRY004
    return Stored(content)


def _read_npz(path: Path) -> Source:
    arrays = _arrays(path)
    if len(arrays) != 1:
        raise ValueError(f"it holds {len(arrays)} arrays ({', '.join(arrays)}); to give them all: --input @{path}")
    return Stored(next(iter(arrays.values())))


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    data = io.BytesIO(path.read_bytes())
    try:
        with np.load(data, allow_pickle=False) as archive:
            return dict(archive)
    except (*_UNREADABLE, AttributeError, TypeError) as error:
        raise ValueError(f"not an archive of NumPy arrays that can be read: {error}") from error


def _parse(text: str) -> Any:
    """Read JSON. Raise OverflowError for a number that would become infinity."""
    return json.loads(text, parse_float=_float)


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise OverflowError(f"{text} is beyond the largest number that there is, 1.8e308; infinity is written Infinity")
    return value


def _json(path: Path) -> Any:
    try:
        return _parse(_text(path))
    except OverflowError as error:
        raise ValueError(str(error)) from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error


def _read_csv(path: Path) -> Source:
    return Table(_text(path))


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8-sig")


_READERS: dict[str, Callable[[Path], Source]] = {
    ".csv": _read_csv,
    ".json": lambda path: Stored(_json(path)),
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".txt": lambda path: TextFile(_text(path)),
}

_BLOBS = (".bin", ".bmp", ".flac", ".gif", ".jpeg", ".jpg", ".mp3", ".pdf", ".png", ".tif", ".tiff", ".wav", ".webp")

_TABLES = f"known are {', '.join(_READERS)} for values"
