"""What a server's log says of one model: the lines that name it, and whole tracebacks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tritonforge.server.diagnosis.sources import Sources

__all__ = ["at_own_files", "of_model"]

_TRACEBACK = re.compile(r"(?P<group>  \+ Exception Group )?Traceback \(most recent call last\):$")
_BETWEEN = re.compile(r" |$|During handling of the above exception|The above exception was the direct cause")
"""What stands between tracebacks of one chain; lines of a group, and of a message that has several, are indented."""


class _Piece(NamedTuple):
    """A line, or a traceback with its exception; whether it goes on what is before it."""

    lines: list[str]
    continues: bool


def of_model(lines: Iterable[str], model: str) -> Iterator[str]:
    """Give the lines of a log that name a model ('echo', echo:1, echo_0_1, /echo/1/model.py), and its tracebacks.

    A traceback is the model's if it names it, or follows a line that does. An exception's message that has several
    lines is given as far as they are indented: nothing tells the others from what another model prints.
    """
    named = re.compile(rf"(?<![\w.-]){re.escape(model)}(?:(?![\w.-])|_\d)")
    ours = False
    for piece in _pieces(lines):
        ours = (ours and piece.continues) or any(map(named.search, piece.lines))
        if ours:
            yield from piece.lines


def at_own_files(lines: Iterable[str], sources: Sources) -> Iterator[str]:
    """Give lines with the user's files in the place of what the server reads, which is gone with it."""
    place = re.compile(rf"{re.escape(str(sources.served))}/(?P<model>[^/\s]+)/[^\s\"'():,;]+")
    for line in lines:
        yield place.sub(lambda found: sources.original(found[0], found["model"]) or found[0], line)


def _pieces(lines: Iterable[str]) -> Iterator[_Piece]:
    """Cut a log up; a traceback comes as soon as the line of its exception does."""
    held: list[str] = []
    after = False
    for line in lines:
        start = _TRACEBACK.match(line)
        if held:
            held.append(line)
            if line and not line.startswith(" "):
                yield _Piece(held, True)
                held, after = [], True
        elif start and not start["group"]:
            held = [line]
        else:
            after = bool(start) or (after and _BETWEEN.match(line) is not None)
            yield _Piece([line], after)
    if held:
        yield _Piece(held, True)
