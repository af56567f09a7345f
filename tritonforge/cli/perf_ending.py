"""A measurement that somebody ends: by Ctrl-C, or by SIGTERM, as the cancellation of a job sends it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import typer

__all__ = ["Ending", "ending"]

_INTERRUPTED, _TERMINATED = 130, 143
_SIGTERM = "terminated"


class Ending:
    """Which of the two ended a measurement, if any."""

    def __init__(self) -> None:
        self._terminated = False
        self._settled = False

    @property
    def code(self) -> int:
        """The exit code where it was ended."""
        return _TERMINATED if self._terminated else _INTERRUPTED

    @property
    def words(self) -> str:
        """Say what became of the measurement, where nothing of it is left."""
        ended = _SIGTERM if self._terminated else "interrupted"
        if self._settled:
            return f"{ended}: the results are not all shown and written"
        return f"{ended}: nothing was measured yet, as no window was over"

    def settle(self) -> None:
        """Let no SIGTERM interrupt what follows: what was measured is written."""
        self._settled = True

    def terminate(self, number: int, frame: object) -> None:
        """Interrupt, once: what ends a measurement isn't to be interrupted itself."""
        if not (self._terminated or self._settled):
            self._terminated = True
            raise KeyboardInterrupt(_SIGTERM)


@contextmanager
def ending() -> Iterator[Ending]:
    """Have SIGTERM end the block as Ctrl-C does; where either does, say so, and exit."""
    end = Ending()
    main = threading.current_thread() is threading.main_thread()  # no other may handle signals
    before = signal.signal(signal.SIGTERM, end.terminate) if main else None
    try:
        yield end
    except KeyboardInterrupt as error:
        typer.echo(end.words, err=True)
        raise typer.Exit(end.code) from error
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)
