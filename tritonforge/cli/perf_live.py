"""What is seen while a sweep runs: a table that fills on a terminal, a line for each load elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from tritonforge.cli.perf_stderr import dispensable, say

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table as RichTable

    from tritonforge.load import Point

__all__ = ["Shown", "showing"]

_BETWEEN = 2
_DISPENSABLE = ("windows", "p99.9", "p95", "mean", "goodput/s", "p90")
"""Columns that a narrow terminal does without, from the least needed on."""


class Shown(Protocol):
    """Is told how a sweep goes on."""

    def window(self, point: Point) -> None:
        """Show a load's figures so far."""

    def point(self, point: Point) -> None:
        """Show a load's figures."""

    def warn(self, text: str) -> None:
        """Show a warning of the build."""


@contextmanager
def showing(label: str = "") -> Iterator[Shown]:
    """Show on standard error while the block runs, so that standard output holds the result alone.

    `label` begins each line, where it is lines. What can't be written is left out: the figures don't need it.
    """
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(label)
        return
    from rich.live import Live

    live = Live(console=console, transient=True, auto_refresh=False)
    with dispensable():
        live.start()
    try:
        yield _Filling(live)
    finally:
        with dispensable():
            live.stop()


class _Lines:
    """Plain lines, for logs."""

    def __init__(self, label: str) -> None:
        self._head = f"{label}: " if label else ""

    def window(self, point: Point) -> None:
        """Say nothing: a log needs no progress."""

    def point(self, point: Point) -> None:
        """Write a line."""
        say(f"{self._head}{_line(point)}")

    def warn(self, text: str) -> None:
        """Write it."""
        say(f"{self._head}{text}")


class _Filling:
    """A table on a terminal: whole loads, and the one that is measured."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._points: list[Point] = []

    def window(self, point: Point) -> None:
        """Show the figures so far in the last row."""
        self._show(_table([*self._points, point], self._live.console.width, running=True))

    def point(self, point: Point) -> None:
        """Keep a row."""
        self._points.append(point)
        self._show(_table(self._points, self._live.console.width, running=False))

    def warn(self, text: str) -> None:
        """Write it above the table."""
        with dispensable():
            self._live.console.print(text, markup=False)

    def _show(self, table: RichTable) -> None:
        with dispensable():
            self._live.update(table, refresh=True)


def _line(point: Point) -> str:
    from tritonforge.report import point_table

    table = point_table([point])
    figures = ", ".join(f"{name} {word}" for name, word in zip(table.columns[1:], table.rows[0][1:], strict=True))
    return f"{table.rows[0][0]} ({point.protocol}): {figures}"


def _table(points: list[Point], width: int, *, running: bool) -> RichTable:
    """Make the table, without the columns that are needed least where the terminal is too narrow for all."""
    from rich.table import Table as RichTable

    from tritonforge.report import point_table

    words = point_table(points)
    rows = [(*row, str(len(point.windows))) for row, point in zip(words.rows, points, strict=True)]
    columns = [*zip((*words.columns, "windows"), *rows, strict=True)]
    for name in _DISPENSABLE:
        if sum(max(map(len, column)) + _BETWEEN for column in columns) <= width:
            break
        columns = [column for column in columns if column[0] != name]
    table = RichTable(box=None, header_style="bold", pad_edge=False)
    for index, (name, *_) in enumerate(columns):
        table.add_column(name, justify="right" if index else "left", no_wrap=True)
    for index, row in enumerate(zip(*(column[1:] for column in columns), strict=True)):
        table.add_row(*row, style="dim" if running and index == len(points) - 1 else None)
    return table
