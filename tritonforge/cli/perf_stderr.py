"""Words on standard error: a measurement does without those that can't be written."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import typer

__all__ = ["dispensable", "say"]


def say(text: str, *, nl: bool = True) -> None:
    """Write a line on standard error, or nothing where it can't be written: a full disk, a pipe that nobody reads."""
    with dispensable():
        typer.echo(text, nl=nl, err=True)


@contextmanager
def dispensable() -> Iterator[None]:
    """End the block quietly where standard error can't be written."""
    try:
        yield
    except OSError:
        # The stream keeps what it couldn't write; Python would try once more at its exit, and end with 120 then.
        with suppress(OSError, AttributeError):
            sys.stderr = open(sys.stderr.fileno(), "w", 1, errors="backslashreplace", closefd=False)  # noqa: SIM115
