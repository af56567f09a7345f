"""Comparisons of live servers as lines of a file, and others drawn from the pairs of windows in them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tritonforge.report import Rules
from tritonforge.report.verdicts import FIGURES, Windows, compare_points

__all__ = ["Record", "draw", "read_records", "rounds_of", "verdict_of", "write_record"]

Round = tuple[tuple[float, ...], tuple[float, ...]]
"""The figures of the base's window and of the other's, in the order of `FIGURES`."""


@dataclass(frozen=True)
class Record:
    """One comparison: with what, by which lot, windows of which length, how long it took, and its rounds."""

    new: str
    seed: int
    window_s: float
    took_s: float
    rounds: tuple[Round, ...]


def rounds_of(base: Windows, new: Windows) -> tuple[Round, ...]:
    """Put what the windows of both say by rounds."""
    sides = [list(zip(*(side[figure.name] for figure in FIGURES), strict=True)) for side in (base, new)]
    return tuple(zip(*sides, strict=True))


def verdict_of(record: Record) -> str:
    """Say what `perf compare` says of it."""
    base, new = (
        {figure.name: [each[side][place] for each in record.rounds] for place, figure in enumerate(FIGURES)}
        for side in (0, 1)
    )
    found = compare_points({"": (base, new)}, base="even", new=record.new, rules=Rules(), paired=True)
    return found.points[0].verdict


def draw(records: Sequence[Record], pairs: int, number: int) -> Iterator[Record]:
    """Draw comparisons of so many pairs with replacement, each of the pairs of one record.

    Where both sides are the same server, which of the two was called the base is drawn anew, too.
    """
    lot = random.Random(0)
    for seed in range(number):
        record = lot.choice(records)
        rounds = lot.choices(record.rounds, k=pairs)
        if record.new == "even":
            rounds = [each if lot.random() < 0.5 else (each[1], each[0]) for each in rounds]
        yield Record(record.new, seed, record.window_s, 0.0, tuple(rounds))


def read_records(file: Path | None, pairs: int, window_s: float) -> list[Record]:
    """Read the comparisons of so many pairs of windows so long; none where there is no file."""
    if file is None or not file.exists():
        return []
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    found = [Record(**line | {"rounds": tuple(tuple(map(tuple, each)) for each in line["rounds"])}) for line in lines]
    return [record for record in found if len(record.rounds) == pairs and record.window_s == window_s]


def write_record(file: Path | None, record: Record) -> None:
    """Add a comparison to the file, if there is one."""
    if file is not None:
        with file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(asdict(record)) + "\n")
