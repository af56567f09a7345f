"""Going on without a terminal: a process of its own, and word to the one that waits when it is ready."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import typer

from tritonforge.cli.interruptions import Interruptions
from tritonforge.server.patience import await_readable

__all__ = ["Detached", "detach"]

_READY = b"+"
_INTERRUPTING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


class Detached:
    """The process that goes on; it speaks on the terminal until `ready`."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def ready(self, log: Path) -> None:
        """Leave the terminal, what is said from here on going to a file, and let the waiting process end."""
        nothing = os.open(os.devnull, os.O_RDONLY)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for source, target in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(source, target)
        os.close(nothing)
        os.close(output)
        os.write(self._pipe, _READY)
        os.close(self._pipe)


def detach(interruptions: Interruptions) -> Detached:
    """Go on in a new process and session, the end of this one's terminal not being its end.

    This process waits until that one is ready, and then ends; or with its exit code, if it fails. An interruption ends
    both.
    """
    at_once, interruptions.at_once = interruptions.at_once, False
    wait, tell = os.pipe()
    signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTING)  # Python forgets what comes to a child while it forks
    child = os.fork()
    if child == 0:
        os.close(wait)
        os.setsid()
        interruptions.at_once = at_once
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPTING)
        return Detached(tell)
    os.close(tell)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPTING)
        await_readable(wait)
        if os.read(wait, 1) == _READY:
            raise typer.Exit(0)
        raise typer.Exit(_end(child))
    except KeyboardInterrupt:
        os.kill(child, signal.SIGTERM)
        _end(child)
        _forget(child)
        raise


def _end(child: int) -> int:
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else 128 - code


def _forget(child: int) -> None:
    """Forget the server of a process that ended at once."""
    from tritonforge.server.state.records import forget, read_records

    for record in read_records():
        if record.launcher.pid == child and not record.alive():
            forget(record)
