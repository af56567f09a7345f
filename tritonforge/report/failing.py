"""What failing requests are called."""

from __future__ import annotations

from tritonforge.load import Point

__all__ = ["line", "ways_of_failing"]


def ways_of_failing(point: Point) -> dict[str, int]:
    """Count failed requests by their kind with the words of one, in one line: servers may say anything."""
    return {line(f"{error.kind}: {error.example}").rstrip(": "): error.count for error in point.errors}


def line(words: str) -> str:
    """Make one line of words, without what can't be printed."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in words).split())
