"""What signals do to a command that starts a server and keeps it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Interruptions", "interruptible"]

_SIGNALLED = 128


class Interruptions:
    """How signals are taken: while `at_once`, they end the process; the first one later is a KeyboardInterrupt.

    After that one they interrupt the ending no more, but call what is in `at_second`, if anything is.
    """

    def __init__(self) -> None:
        self.at_once = True
        self.at_second: list[Callable[[], None]] = []
        self.number = 0

    @property
    def code(self) -> int:
        """The exit code of a process that the signal ended, as shells have it."""
        return _SIGNALLED + self.number

    def take(self, number: int, frame: object) -> None:
        """Handle a signal."""
        if self.at_once:  # an import would make another error of a KeyboardInterrupt
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif self.number and self.at_second:
            for call in self.at_second:
                call()
        else:
            self.number = number
            raise KeyboardInterrupt


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
