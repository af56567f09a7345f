"""Cutting arrays along the batch, and putting results together again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tritonforge.client.result import Result
from tritonforge.client.tensors.wire import Array

__all__ = ["Piece", "Reassembly", "cut", "merge_arrays", "rows_of", "slices_of", "uneven"]


class Piece(NamedTuple):
    """A part of an item that fits into one request: which item, which of how many parts, and its inputs."""

    item: int
    part: int
    parts: int
    inputs: Mapping[str, Any]
    rows: int


def rows_of(inputs: Mapping[str, Any]) -> int:
    """Tell how many rows the arrays have: the length of the first that has one; 0 without any."""
    return next((len(value) for value in inputs.values() if np.ndim(value)), 0)


def uneven(inputs: Mapping[str, Any]) -> str:
    """Say which two arrays differ in their rows; empty where none do."""
    rows = {name: len(value) for name, value in inputs.items() if np.ndim(value)}
    first = next(iter(rows), "")
    other = next((name for name in rows if rows[name] != rows[first]), "")
    return f'input "{first}" has {rows[first]} rows, and "{other}" has {rows[other]}' if other else ""


def cut(number: int, inputs: Mapping[str, Any], size: int) -> Iterator[Piece]:
    """Cut an item into parts of at most `size` rows, all views of its arrays; 0 cuts nothing."""
    rows = rows_of(inputs)
    if not 0 < size < rows:
        yield Piece(number, 0, 1, inputs, rows)
        return
    parts = -(-rows // size)
    for part in range(parts):
        place = slice(part * size, (part + 1) * size)
        inputs_cut = {name: value[place] if np.ndim(value) else value for name, value in inputs.items()}
        yield Piece(number, part, parts, inputs_cut, min(size, rows - part * size))


def slices_of(inputs: Mapping[str, Any], size: int) -> Iterator[Mapping[str, Any]]:
    """Cut arrays into items of at most `size` rows each, all views; 0 gives them whole."""
    for piece in cut(0, inputs, size):
        yield piece.inputs


def merge_arrays(results: Sequence[Result], name: Callable[[int], str] = "item {}".format) -> Result:
    """Join results along the batch: outputs end to end, the rest as the first has it.

    Raise ValueError where the arrays of an output differ in more than their rows; `name` names the results.
    """
    first = results[0]
    if len(results) == 1:
        return first
    outputs: dict[str, Array] = {}
    for output in first.outputs:
        arrays = [result[output] for result in results]
        _require_alike(output, arrays, name)
        outputs[output] = np.concatenate(arrays)
    return Result(
        outputs,
        model=first.model,
        model_version=first.model_version,
        id=first.id,
        parameters=first.parameters,
    )


def _require_alike(output: str, arrays: Sequence[Array], name: Callable[[int], str]) -> None:
    row = arrays[0].shape[1:]
    for number, array in enumerate(arrays):
        if array.shape[1:] != row:
            shapes = f"{list(arrays[0].shape)} of {name(0)}, and {list(array.shape)} of {name(number)}"
            raise ValueError(f'output "{output}" is {shapes}: only what differs in its rows alone can be joined')


class Reassembly:
    """Results of pieces as they come, given back as results of whole items."""

    def __init__(self, *, ordered: bool) -> None:
        self._ordered = ordered
        self._parts: dict[int, list[Result | None]] = {}
        self._whole: dict[int, Result] = {}
        self._next = 0

    def add(self, piece: Piece, result: Result) -> Iterator[tuple[int, Result]]:
        """Give the items that this result completes, or lets go: by order of items, else as they are complete."""
        if piece.parts == 1 and (not self._ordered or (piece.item == self._next and not self._whole)):
            self._next += 1
            yield piece.item, result
            return
        parts = self._parts.setdefault(piece.item, [None] * piece.parts)
        parts[piece.part] = result
        there = [part for part in parts if part is not None]
        if len(there) < piece.parts:
            return
        del self._parts[piece.item]
        whole = merge_arrays(there, lambda part: f"item {piece.item}, part {part + 1} of {piece.parts}")
        if not self._ordered:
            yield piece.item, whole
            return
        self._whole[piece.item] = whole
        while self._next in self._whole:
            yield self._next, self._whole.pop(self._next)
            self._next += 1
