"""What failing requests are called."""

from __future__ import annotations

from tritonforge.load import Point

__all__ = ["line", "ways_of_failing"]

_RESTRICTED = "is restricted, expecting header"
"""What Triton says of an API that wants a key, of a protocol over gRPC (24.10)."""

_KEY = "; it is the key: --key-file"


def ways_of_failing(point: Point) -> dict[str, int]:
    """Count failed requests by their kind with the words of one, in one line: servers may say anything."""
    return {_name(error.kind, error.example): error.count for error in point.errors}


def _name(kind: str, example: str) -> str:
    return line(f"{kind}: {example}").rstrip(": ") + (_KEY if _RESTRICTED in example else "")


def line(words: str) -> str:
    """Make one line of words, without what can't be printed."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in words).split())
