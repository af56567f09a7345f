"""The part of a log that was put aside, as it had outgrown its limit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

__all__ = ["with_older"]


@contextmanager
def with_older(log: Path, read_log: Callable[[], str]) -> Iterator[Callable[[], str]]:
    """Give a function that reads a log with what was put aside of it before, though their folder may be gone by then.

    What is put aside later takes the same file's place, so that it is opened once.
    """
    with ExitStack() as stack:
        opened: list[BinaryIO] = []

        def read() -> str:
            if not opened:
                with suppress(OSError):
                    opened.append(stack.enter_context(Path(f"{log}.1").open("rb")))
            older = ""
            for file in opened:
                file.seek(0)
                older = file.read().decode(errors="replace")
            return older + read_log()

        yield read
