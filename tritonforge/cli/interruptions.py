"""What signals do to a command that starts a server and keeps it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

__all__ = ["Interruptions", "interruptible"]

_SIGNALLED = 128
_exit = os._exit
"""The very one: a build has another in its place while it imports definitions."""


class Interruptions:
    """How signals are taken: while `at_once`, they end the process; the first one later is a KeyboardInterrupt.

    What is `at_end` is done before such an end, the last first: what was made until then is taken away. After a
    KeyboardInterrupt they interrupt the ending no more, but call what is in `at_second`, if anything is.
    """

    def __init__(self) -> None:
        self.at_once = True
        self.at_end: list[Callable[[], object]] = []
        self.at_second: list[Callable[[], None]] = []
        self.number = 0
        self._deferring = False
        self._deferred: list[int] = []

    @property
    def code(self) -> int:
        """The exit code of a process that the signal ended, as shells have it."""
        return _SIGNALLED + self.number

    def take(self, number: int, frame: object) -> None:
        """Handle a signal."""
        if self._deferring:
            self._deferred.append(number)
        elif self.at_once:  # an import would make another error of a KeyboardInterrupt
            self._end(number)
        elif self.number and self.at_second:
            for call in self.at_second:
                call()
        else:
            self.number = number
            raise KeyboardInterrupt

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Take the signals that come in the block at its end: what is made there is whole then, and no lock is held."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False
        while self._deferred:
            self.take(self._deferred.pop(0), None)

    def check(self) -> None:
        """Raise the KeyboardInterrupt that Python has dropped, as it does amid a finalizer, or an import."""
        if self.number:
            raise KeyboardInterrupt

    def _end(self, number: int) -> None:
        """End this process; told so twice, without doing anything before."""
        again, self.number = self.number, number
        if not again:
            for call in reversed(self.at_end):
                with suppress(Exception):
                    call()
        _exit(self.code)


@contextmanager
def interruptible() -> Iterator[Interruptions]:
    """Take SIGTERM and SIGHUP as Ctrl-C in the block; SIGINT too where a shell has it ignored (`&`)."""
    interruptions = Interruptions()
    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, interruptions.take) for number in numbers}
    try:
        yield interruptions
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
