"""A measurement that somebody ends: by Ctrl-C, or by SIGTERM, as the cancellation of a job sends it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from tritonforge.cli import end_start
from tritonforge.cli.perf_stderr import say

__all__ = ["Ending", "ending"]

_INTERRUPTED, _TERMINATED = 130, 143
_SIGTERM = "terminated"


class Ending:
    """Which of the two ended a measurement, if any."""

    def __init__(self) -> None:
        self._interrupted = False
        self._terminated = False
        self._settled = False
        self._importing = False
        self.measured = False
        """Whether there are figures: a window is over."""

    @property
    def code(self) -> int:
        """The exit code where it was ended."""
        return _TERMINATED if self._terminated else _INTERRUPTED

    @property
    def came(self) -> bool:
        """Whether either came, also one that nothing was interrupted by."""
        return self._interrupted or self._terminated

    @property
    def words(self) -> str:
        """Say what became of the measurement, where nothing of it is left."""
        ended = _SIGTERM if self._terminated else "interrupted"
        if self._settled or self.measured:
            return f"{ended}: the results are not all shown and written"
        return f"{ended}: nothing was measured yet, as no window was over"

    @contextmanager
    def importing(self) -> Iterator[None]:
        """Have either end the process at once: an import might drop a KeyboardInterrupt, or change it."""
        self._importing = True
        try:
            yield
        finally:
            self._importing = False

    def _end(self) -> None:
        say(self.words)
        os._exit(self.code)

    def settle(self) -> None:
        """Let neither interrupt what follows, where none came before: what was measured is shown and written.

        Who presses Ctrl-C once more at a terminal means it.
        """
        self._settled = True

    def go_on(self) -> None:
        """Interrupt what wasn't: Python drops an interruption amid a finalizer, or the closing of a generator."""
        if (self._interrupted or self._terminated) and not self._settled:
            raise KeyboardInterrupt(_SIGTERM if self._terminated else "")

    def interrupt(self, number: int, frame: object) -> None:
        """Interrupt, each time anew: it is somebody at a terminal."""
        first, self._interrupted = not self.came, True
        if self._importing:
            self._end()
        if not (first and self._settled):
            raise KeyboardInterrupt

    def terminate(self, number: int, frame: object) -> None:
        """Interrupt, once: what ends a measurement isn't to be interrupted itself."""
        first, self._terminated = not self._terminated, True
        if self._importing:
            self._end()
        if first and not self._settled:
            raise KeyboardInterrupt(_SIGTERM)


@contextmanager
def ending(end: Ending | None = None) -> Iterator[Ending]:
    """Have SIGTERM end the block as Ctrl-C does; where either does, say so, and exit."""
    end = end or Ending()
    before = {}
    if threading.current_thread() is threading.main_thread():  # no other may handle signals
        before[signal.SIGTERM] = signal.signal(signal.SIGTERM, end.terminate)
        # Not where a shell has it ignored (`&`). What follows is no start any more.
        if signal.getsignal(signal.SIGINT) in (signal.default_int_handler, end_start):
            signal.signal(signal.SIGINT, end.interrupt)
            before[signal.SIGINT] = signal.default_int_handler
    try:
        yield end
    except KeyboardInterrupt as error:
        say(end.words)
        raise typer.Exit(end.code) from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
