"""Tables in text: CSV of any separator, and numbers with spaces between them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Table", "numbers"]

Rows = Sequence[Sequence[str]]

_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs"}


@dataclass(frozen=True, slots=True)
class Table:
    """The text of a CSV file.

    A first row with others below it is a header if nothing in it is a number; for text, if it is the input's own name
    alone. A table of numbers that has no comma may be separated by semicolons or tabs.
    """

    source: str

    def content(self, *, text: bool, name: str) -> Any:
        """Give the rows below the header, as strings or as numbers. Raise ValueError where they are no such table."""
        rows = _split(self.source, ",")
        if text:
            if len(rows) > 1 and rows[0] == [name]:
                rows = rows[1:]
            return _even(rows)
        if all(len(row) == 1 for row in rows):
            others = (_split(self.source, separator) for separator in _OTHER_SEPARATORS)
            rows = next((other for other in others if any(len(row) > 1 for row in other)), rows)
        try:
            return numbers(rows)
        except ValueError as error:
            raise ValueError(f"{error}{self._separator_hint()}") from error

    def _separator_hint(self) -> str:
        first = self.source.lstrip().partition("\n")[0]
        found = next((words for separator, words in _OTHER_SEPARATORS.items() if separator in first), "")
        if not found or "," not in self.source:
            return ""
        return f" (the columns look separated by {found}: then write decimals with points, not commas)"


def numbers(rows: Rows) -> list[list[int | float]]:
    """Read rows of numbers, below a header if there is one. Raise ValueError, naming the row that has another thing."""
    header = len(rows) > 1 and all(_number(cell) is None for cell in rows[0])
    return [
        [_parsed(cell, line) for cell in row]
        for line, row in enumerate(_even(rows[1:] if header else rows), 1 + header)
    ]


def _split(source: str, separator: str) -> list[list[str]]:
    try:
        read = csv.reader(io.StringIO(source, newline=""), delimiter=separator)
        return [[cell.strip() for cell in row] for row in read if row]
    except csv.Error as error:
        raise ValueError(f"not CSV: {error}") from error


def _even(rows: Rows) -> list[list[str]]:
    """Hold the rows to one width, and to be there at all."""
    widths = {len(row) for row in rows}
    if not widths:
        raise ValueError("no rows")
    if len(widths) > 1:
        raise ValueError(f"the rows have between {min(widths)} and {max(widths)} cells")
    return [list(row) for row in rows]


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
    if cell[-1].isdigit() and abs(number) == math.inf:
        raise ValueError(f"row {row} has {cell}, beyond the largest number that there is, 1.8e308")
    return number
