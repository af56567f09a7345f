"""Rows of files: one request's inputs each, by name, without a batch dimension; other columns are answers."""

from __future__ import annotations

import base64
import json
import math
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritonforge.load.input.casts import unpromoted

__all__ = ["READERS", "Raw", "reshaped", "sequence_lengths"]

Row = dict[str, Any]
_ANSWER = "expected:"
_UTF8 = "utf-8-sig"
"""A byte order mark, as editors of Windows write, is passed over."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A tensor's bytes as they go out, of a datatype that the file doesn't tell, and its shape where it does."""

    data: bytes
    shape: tuple[int, ...] | None = None


def _npz(path: Path) -> Iterator[Row]:
    """Take each array's first dimension for rows; all have as many."""
    if not zipfile.is_zipfile(path):
        raise ValueError("it is no archive of arrays, as numpy.savez writes them")
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: _array(file, name) for name in file.files}
    counts = {len(array) for array in arrays.values()}
    if len(counts) != 1:
        raise ValueError(f"its arrays have {sorted(counts)} rows; all must have as many")
    for index in range(counts.pop()):
        yield {name: array[index] for name, array in arrays.items()}


def _array(file: Mapping[str, Any], name: str) -> Any:
    try:
        array = file[name]
    except (ValueError, zipfile.BadZipFile, zlib.error) as error:
        saved = "objects are not; save numbers, or strings as dtype=str"
        raise ValueError(f'its array "{name}" can\'t be read ({error}); {saved}') from error
    if not isinstance(array, np.ndarray) or not array.ndim:
        raise ValueError(f'"{name}" is no array of rows')
    return array


def _jsonl(path: Path) -> Iterator[Row]:
    for number, line in enumerate(path.read_text(encoding=_UTF8).split("\n"), 1):  # U+2028, say, may be within a text
        if line.strip():
            try:
                row = json.loads(line, parse_float=_float, object_pairs_hook=_object)
            except ValueError as error:
                raise ValueError(f"line {number} is no JSON: {error}") from error
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is no object of inputs")
            yield row


def _object(pairs: list[tuple[str, Any]]) -> Row:
    """Make an object of its keys, each of which it has once: of two, nobody knows which one was meant."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f'"{next(name for name in made if names.count(name) > 1)}" is in an object twice')
    return made


def _float(text: str) -> float | Decimal:
    """Read a number; one that is too large for a float stays what it is, which is refused as such."""
    number = float(text)
    if not math.isinf(number):
        return number
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text} is too large") from None


def _parquet(path: Path) -> Iterator[Row]:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ValueError("to read it, install pyarrow: pip install 'tritonforge[parquet]'") from error
    yield from pyarrow.parquet.read_table(path).to_pylist()


def _perf_analyzer(path: Path) -> Iterator[Row]:
    """Read perf_analyzer's format: `data`, a list of steps, or of streams of them, and `validation_data` alike.

    A tensor is a flat list, or has `content`, such a list, or `b64`, its bytes (of a BYTES one, its one element), which
    may stand in its content, too; and a `shape`.
    """
    try:
        document = json.loads(path.read_text(encoding=_UTF8), parse_float=_float, object_pairs_hook=_object)
    except ValueError as error:
        raise ValueError(f"it is no JSON: {error}") from error
    if not isinstance(document, dict) or "data" not in document:
        raise ValueError('it has no list "data", as perf_analyzer\'s format has; one request a line is .jsonl')
    steps, answers = (_flat(document.get(key, []), key) for key in ("data", "validation_data"))
    if answers and len(answers) != len(steps):
        raise ValueError(f"validation_data has {len(answers)} steps, data {len(steps)}")
    for index, step in enumerate(steps):
        row = _tensors(step, index + 1)
        if answers:
            row |= {_ANSWER + name: value for name, value in _tensors(answers[index], index + 1).items()}
        yield row


def sequence_lengths(source: str) -> list[int]:
    """Give how many steps each sequence of perf_analyzer's format has; none for other files, or steps in no list."""
    path = Path(source)
    if path.suffix != ".json" or not path.is_file():
        return []
    try:
        streams = json.loads(path.read_text(encoding=_UTF8))["data"]
    except (ValueError, KeyError, TypeError):
        return []  # the reader of rows says what is wrong
    nested = isinstance(streams, list) and all(isinstance(stream, list) and stream for stream in streams)
    return [len(stream) for stream in streams] if nested else []


def _flat(steps: Any, key: str) -> list[Mapping[str, Any]]:
    if not isinstance(steps, list):
        raise TypeError(f'"{key}" is no list of steps')
    if [] in steps:
        raise ValueError(f'sequence {steps.index([]) + 1} of "{key}" holds no steps')
    flat = [item for step in steps for item in (step if isinstance(step, list) else [step])]
    for number, step in enumerate(flat, 1):
        if not isinstance(step, dict):
            raise TypeError(f'step {number} of "{key}" is no object of tensors: {json.dumps(step, default=str)[:40]}')
    return flat


def _tensors(step: Mapping[str, Any], number: int) -> Row:
    found = {}
    for name, value in step.items():
        try:
            found[name] = _tensor(value)
        except (ValueError, TypeError) as error:
            raise ValueError(f'row {number}: "{name}": {error}') from error
    return found


def _tensor(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    content = value.get("content", value)
    shape = _shape(value["shape"]) if "shape" in value else None
    if isinstance(content, dict):
        if "b64" not in content:
            raise ValueError(f'a tensor is a list, or has "content" or "b64"; found {", ".join(content) or "nothing"}')
        try:
            return Raw(base64.b64decode(content["b64"], validate=True), shape)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{json.dumps(content['b64'], default=str)[:40]} is no base64: {error}") from error
    array = unpromoted(content)
    return array if shape is None else reshaped(array, shape)


def _shape(sizes: Any) -> tuple[int, ...]:
    if not isinstance(sizes, list) or not all(type(size) is int and size >= 0 for size in sizes):
        raise ValueError(f"the shape {json.dumps(sizes, default=str)[:40]} is no list of sizes")
    return tuple(sizes)


def reshaped(array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Give an array the shape that a file tells. Raise ValueError where it has another number of values."""
    if math.prod(shape) != array.size:
        raise ValueError(f"{array.size} value{'s'[: array.size != 1]} can't have the shape {list(shape)}")
    return array.reshape(shape)


READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".npz": _npz,
    ".jsonl": _jsonl,
    ".parquet": _parquet,
    ".json": _perf_analyzer,
}
"""How each kind of file is read, by its name's end."""
