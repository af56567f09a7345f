"""Rows of files: one request's inputs each, by name, without a batch dimension; other columns are answers."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["READERS"]

Row = dict[str, Any]
_ANSWER = "expected:"


def _npz(path: Path) -> Iterator[Row]:
    """Take each array's first dimension for rows; all have as many."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    counts = {len(array) for array in arrays.values() if array.ndim}
    if len(counts) != 1:
        raise ValueError(f"its arrays have {sorted(counts)} rows; all must have as many")
    for index in range(counts.pop()):
        yield {name: array[index] for name, array in arrays.items()}


def _jsonl(path: Path) -> Iterator[Row]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip():
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is no object of inputs")
            yield row


def _parquet(path: Path) -> Iterator[Row]:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ValueError("to read it, install pyarrow: pip install 'tritonforge[parquet]'") from error
    yield from pyarrow.parquet.read_table(path).to_pylist()


def _perf_analyzer(path: Path) -> Iterator[Row]:
    """Read perf_analyzer's format: `data`, a list of steps, or of streams of them, and `validation_data` alike.

    A tensor is a flat list, or has `content` and `shape`, or `b64`.
    """
    document = json.loads(path.read_text(encoding="utf-8"))
    steps, answers = _flat(document["data"]), _flat(document.get("validation_data", []))
    if answers and len(answers) != len(steps):
        raise ValueError(f"validation_data has {len(answers)} steps, data {len(steps)}")
    for index, step in enumerate(steps):
        row = {name: _tensor(value) for name, value in step.items()}
        if answers:
            row |= {_ANSWER + name: _tensor(value) for name, value in answers[index].items()}
        yield row


def _flat(steps: list[Any]) -> list[Mapping[str, Any]]:
    return [item for step in steps for item in (step if isinstance(step, list) else [step])]


def _tensor(value: Any) -> Any:
    if not isinstance(value, dict):
        return np.asarray(value)
    if "b64" in value:
        return np.frombuffer(base64.b64decode(value["b64"]), np.uint8)
    array = np.asarray(value["content"])
    return array.reshape(value["shape"]) if "shape" in value else array


READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".npz": _npz,
    ".jsonl": _jsonl,
    ".parquet": _parquet,
    ".json": _perf_analyzer,
}
"""How each kind of file is read, by its name's end."""
