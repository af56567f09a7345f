"""Where `tritonforge infer` has an input's value from: a literal, or a file of one of several kinds."""

from __future__ import annotations

import csv
import io
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

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
            parsed = json.loads(self.typed)
        except (ValueError, RecursionError) as error:
            if text:
                return self.typed
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
class Table:
    """A table of cells of text.

    Its first row is a header if nothing in it is a number; for text, if it is the input's own name alone.
    """

    rows: tuple[tuple[str, ...], ...]

    def content(self, *, text: bool, name: str) -> Any:
        """Give the rows below the header, as strings or as numbers."""
        header = self.rows and (
            self.rows[0] == (name,) if text else all(_number(cell) is None for cell in self.rows[0])
        )
        rows = self.rows[1:] if header else self.rows
        widths = {len(row) for row in rows}
        if len(widths) > 1:
            raise ValueError(f"the rows have between {min(widths)} and {max(widths)} cells")
        if text:
            return [list(row) for row in rows]
        return [[_parsed(cell, line) for cell in row] for line, row in enumerate(rows, 2 if header else 1)]


@dataclass(frozen=True, slots=True)
class TextFile:
    """The text of a file: one value for a BYTES input, else a table with spaces between its numbers."""

    text: str

    def content(self, *, text: bool, name: str) -> Any:
        """Give the text without the end of its last line, or the numbers."""
        if text:
            return self.text.removesuffix("\n").removesuffix("\r")
        rows = tuple(tuple(line.split()) for line in self.text.splitlines() if line.strip())
        return Table(rows).content(text=False, name=name)


def read_file(path: str) -> Source:
    """Read the value of one input by the file's ending; a file with another ending is one value: its bytes.

    Raise OSError, or ValueError where the content isn't what the ending says.
    """
    return _READERS.get(Path(path).suffix.lower(), _read_bytes)(Path(path))


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


def _json(path: Path) -> Any:
    try:
        return json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error


def _read_csv(path: Path) -> Source:
    try:
        rows = tuple(tuple(cell.strip() for cell in row) for row in csv.reader(io.StringIO(_text(path))) if row)
    except csv.Error as error:
        raise ValueError(f"not CSV: {error}") from error
    return Table(rows)


def _read_bytes(path: Path) -> Source:
    return Stored(path.read_bytes())


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8-sig")


_READERS: dict[str, Callable[[Path], Source]] = {
    ".csv": _read_csv,
    ".json": lambda path: Stored(_json(path)),
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".txt": lambda path: TextFile(_text(path)),
}


def _number(cell: str) -> int | float | None:
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            continue
    return None


def _parsed(cell: str, row: int) -> int | float:
    number = _number(cell)
    if number is None:
        raise ValueError(f"row {row} has {cell!r}, which is not a number")
    return number
